#include "fusion/fields.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/error.h"

namespace duet {
namespace {

struct Adam {
  float lr = 1e-3f;
  double eps = 1e-8;
  template <class V>
  void fields(V&& v) {
    v("lr", lr), v("eps", eps);
  }
};

struct Source {
  std::string path = "none";
  int weight = 1;
  Adam adam;
  template <class V>
  void fields(V&& v) {
    v("path", path), v("weight", weight), v("adam", adam);
  }
};

struct Plan {
  int64_t steps = 1000;
  int width = 64;
  bool ema = true;
  std::string note = "hello";
  std::vector<int> sizes = {32, 64};
  std::vector<float> betas;
  std::vector<std::string> names = {"a"};
  std::vector<bool> flags;
  Adam adam;
  std::vector<Source> data = {{}};
  template <class V>
  void fields(V&& v) {
    v("data", data), v("steps", steps), v("width", width), v("ema", ema), v("note", note), v("sizes", sizes), v("betas", betas),
        v("names", names), v("flags", flags), v("adam", adam);
  }
};

struct Small {
  Adam adam;
  int width = 3;
  template <class V>
  void fields(V&& v) {
    v("adam", adam), v("width", width);
  }
};

std::string complaint(const std::string& toml) {
  Plan run;
  try {
    parse_toml(toml, "c.toml", run);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

std::string set_complaint(const std::string& assignment) {
  Plan run;
  try {
    set_key(run, assignment);
  } catch (const Error& e) {
    return e.what();
  }
  return "accepted";
}

TEST(Fields, ReadsEveryType) {
  Plan run;
  parse_toml(R"(
steps = 5_000_000_000
ema = false
note = "두 \"번\"\n"
sizes = [1, 2, 3]
betas = [0.9, 1]
names = []
flags = [true, false]
adam = {lr = 1}
[[data]]
path = "x"
adam.lr = 0.5
[[data]]
weight = 3
[data.adam]
eps = 1e-3
)",
             "c.toml", run);
  EXPECT_EQ(run.steps, 5'000'000'000);
  EXPECT_EQ(run.width, 64) << "an absent key keeps its value";
  EXPECT_FALSE(run.ema);
  EXPECT_EQ(run.note, "두 \"번\"\n");
  EXPECT_EQ(run.sizes, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(run.betas, (std::vector<float>{0.9f, 1.0f}));
  EXPECT_TRUE(run.names.empty());
  EXPECT_EQ(run.flags, (std::vector<bool>{true, false}));
  EXPECT_EQ(run.adam.lr, 1.0f);
  ASSERT_EQ(run.data.size(), 2u);
  EXPECT_EQ(run.data[0].path, "x");
  EXPECT_EQ(run.data[0].adam.lr, 0.5f);
  EXPECT_EQ(run.data[1].path, "none");
  EXPECT_EQ(run.data[1].weight, 3);
  EXPECT_EQ(run.data[1].adam.eps, 1e-3);
}

Plan odd() {
  Plan run;
  run.steps = std::numeric_limits<int64_t>::min();
  run.note = std::string("tab\t nul ") + '\0' + " del \x7f back\\slash \"q\" \n 말";
  run.betas = {0.1f, 1e-30f, 3.0f, std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min()};
  run.flags = {false, true};
  run.adam.eps = 0.1 + 0.2;
  run.names = {"", "# no comment", "[[data]]"};
  run.data = {{"p", 2, {0.25f, 1e300}}, {}};
  return run;
}

void expect_same(const Plan& a, const Plan& b) {
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.note, b.note);
  EXPECT_EQ(a.betas, b.betas);
  EXPECT_EQ(a.flags, b.flags);
  EXPECT_EQ(a.adam.eps, b.adam.eps);
  EXPECT_EQ(a.names, b.names);
  ASSERT_EQ(a.data.size(), b.data.size());
  for (size_t i = 0; i < a.data.size(); ++i) {
    EXPECT_EQ(a.data[i].path, b.data[i].path);
    EXPECT_EQ(a.data[i].adam.lr, b.data[i].adam.lr);
    EXPECT_EQ(a.data[i].adam.eps, b.data[i].adam.eps);
  }
}

TEST(Fields, TomlAndJsonComeBackExactly) {
  Plan toml, json, none = odd(), read;
  parse_toml(to_toml(odd()), "t", toml);
  expect_same(toml, odd());
  from_json(to_json(odd()), "j", json);
  expect_same(json, odd());
  none.data.clear();
  parse_toml(to_toml(none), "t", read);
  EXPECT_TRUE(read.data.empty()) << "an empty list must replace the default";
}

TEST(Fields, FloatsComeBackExactly) {
  uint32_t bits = 1;
  for (int round = 0; round < 20; ++round) {
    Plan run, read;
    while (run.betas.size() < 2000) {
      bits = bits * 1664525u + 1013904223u;
      float x;
      std::memcpy(&x, &bits, 4);
      if (std::isfinite(x)) run.betas.push_back(x);
    }
    parse_toml(to_toml(run), "t", read);
    ASSERT_EQ(read.betas, run.betas);
  }
}

TEST(Fields, TomlIsReadable) {
  Small small;
  EXPECT_EQ(to_toml(small), "width = 3\n\n[adam]\nlr = 0.001\neps = 1e-08\n");
  EXPECT_EQ(to_json(small), R"({"adam": {"lr": 0.001, "eps": 1e-08}, "width": 3})");
}

TEST(Fields, RefusesNamingFileLineKeyAndExpectation) {
  std::string tables;
  for (int i = 0; i < 5000; ++i) tables += "{},";
  const std::pair<std::string, std::string> cases[] = {
      {"steps = 1\nwidht = 3", "c.toml:2: unknown key 'widht'; the nearest known one is 'width'"},
      {"[adam]\n\nlrr = 1", "c.toml:3: unknown key 'adam.lrr'; the nearest known one is 'adam.lr'"},
      {"[adamw]\nlr = 1", "c.toml:1: unknown key 'adamw'; the nearest known one is 'adam'"},
      {"[[data]]\n[[data]]\npth = 1", "c.toml:3: unknown key 'data.1.pth'; the nearest known one is 'data.1.path'"},
      {"adam.beta = 1", "c.toml:1: unknown key 'adam.beta'"},
      {"a.b.c = 1", "c.toml:1: unknown key 'a'"},
      {"\nsteps = \"x\"", "c.toml:2: steps: expected an integer, got the string 'x'"},
      {"steps = 1.0", "c.toml:1: steps: expected an integer, got the number 1"},
      {"width = 3000000000", "c.toml:1: width: expected an integer of 32 bits, got the integer 3000000000"},
      {"ema = 1", "c.toml:1: ema: expected true or false, got the integer 1"},
      {"note = true", "c.toml:1: note: expected a string in quotes, got true"},
      {"note = 2020-01-01", "c.toml:1: note: expected a string in quotes, got a date"},
      {"sizes = 3", "c.toml:1: sizes: expected a list in [ ], got the integer 3"},
      {"sizes = [1,\n2,\n\"3\"]", "c.toml:3: sizes.2: expected an integer, got the string '3'"},
      {"adam = 3", "c.toml:1: adam: expected a table, got the integer 3"},
      {"adam.lr = inf", "c.toml:1: adam.lr: expected a finite number in range"},
      {"adam.lr = nan", "c.toml:1: adam.lr: expected a finite number in range"},
      {"adam.lr = 1e39", "c.toml:1: adam.lr: expected a finite number in range"},
      {"[data]\npath = \"x\"", "c.toml:1: data: expected tables, each under [[data]], got a table"},
      {"data = [1]", "c.toml:1: data.0: expected a table, got the integer 1"},
      {"steps = 1\nsteps = 2", "c.toml:2: not TOML: "},
      {"steps = ", "c.toml:1: not TOML: "},
      {"[[=", "c.toml: not TOML: a table header is malformed"},
      {"[[[data]]]", "c.toml: not TOML: a table header is malformed"},
      {"[ = 1", "not TOML: "},
      {"note = \"\xff\"", "c.toml:1: not TOML: "},
      {std::string(2 << 20, ' '), "c.toml: 2097152 bytes; a config has at most"},
      {"data = [" + tables + "]", "c.toml:1: data: expected at most 4096 tables, got a list of 5000"},
  };
  for (const auto& [toml, reason] : cases) {
    std::string got = complaint(toml);
    EXPECT_NE(got.find(reason), std::string::npos) << "said: " << got << "\nnot:  " << reason;
  }
}

// A dotted key nests a table a dot; the TOML library would recurse through them all.
TEST(Fields, RefusesAMillionDots) {
  std::string deep = "a";
  for (int i = 0; i < 400'000; ++i) deep += ".a";
  EXPECT_NE(complaint(deep + " = 1").find("more than 4096 dots"), std::string::npos);
  deep.resize(8000);
  EXPECT_NE(complaint(deep + "b = 1").find("nests more than 64 tables"), std::string::npos);
  EXPECT_NE(complaint("a = " + std::string(100'000, '[')).find("not TOML"), std::string::npos);
}

// toml++ 3.3 takes some characters for impossible; they are only wrong. An emoji's variation selector is one of them.
TEST(Fields, RefusesPresentationFormsOutsideStrings) {
  for (const char* c : {"\ufcc6", "\ufcff", "\ufe0f", "\ufefe", "\u00a0", "\u200b", "\u3000"}) {
    EXPECT_NE(complaint(std::string("steps ") + c + "= 1").find("not TOML"), std::string::npos);
    EXPECT_NE(complaint(std::string("n") + c + "i={").find("not TOML"), std::string::npos);
    EXPECT_EQ(complaint(std::string("note = \"") + c + "\" # " + c), "accepted");
  }
}

TEST(Fields, SetKey) {
  Plan run;
  set_key(run, "adam.lr=0.5");
  EXPECT_EQ(run.adam.lr, 0.5f);
  set_key(run, "note=plain words = here");
  EXPECT_EQ(run.note, "plain words = here");
  set_key(run, "note=\"in quotes\\n\"");
  EXPECT_EQ(run.note, "in quotes\n");
  set_key(run, "note=");
  EXPECT_EQ(run.note, "");
  set_key(run, "note=123");
  EXPECT_EQ(run.note, "123");
  set_key(run, "sizes=[7]");
  EXPECT_EQ(run.sizes, std::vector<int>{7});
  set_key(run, "data.0.adam.eps=2");
  EXPECT_EQ(run.data[0].adam.eps, 2);
  set_key(run, "adam={lr=3}");
  EXPECT_EQ(run.adam.lr, 3);
  set_key(run, "ema=false");
  EXPECT_FALSE(run.ema);

  const std::pair<std::string, std::string> cases[] = {
      {"adam.l=1", "unknown key 'adam.l'; the nearest known one is 'adam.lr'"},
      {"steps", "expected key=value"},
      {"steps=abc", "--set steps=abc:1: not TOML"},
      {"sizes=1,2", "a list as 'data.dirs=[\"a\", \"b\"]'"},
      {"steps=\"1\"", "steps: expected an integer, got the string '1'"},
      {"steps=1\nwidth=2", "expected one value after '='"},
      {"data.1.path=x", "data is a list of 1; expected data.INDEX.KEY=value"},
      {"data.x.path=x", "data is a list of 1"},
      {"data.0=x", "data is a list of 1"},
      {"steps.x=1", "steps holds a value, not further keys"},
      {"=1", "unknown key ''"},
  };
  for (const auto& [assignment, reason] : cases) {
    std::string got = set_complaint(assignment);
    EXPECT_EQ(got.find("--set "), 0u) << got;
    EXPECT_NE(got.find(reason), std::string::npos) << "said: " << got << "\nnot:  " << reason;
  }
}

TEST(Fields, JsonRefusals) {
  const std::pair<std::string, std::string> cases[] = {
      {"{\"steps\": 1, \"steps\": 2}", "j: key 'steps' appears twice"},
      {"{\"step\": 1}", "j: unknown key 'step'; the nearest known one is 'steps'"},
      {"{\"steps\": null}", "j: steps: expected an integer, got a date or null"},
      {"{\"steps\": 9223372036854775808}", "j: steps: expected an integer"},
      {"[]", "j: expected a JSON object"},
      {"{\"steps\": 1", "j: not JSON"},
      {std::string(100'000, '['), "j: not JSON"},
  };
  for (const auto& [json, reason] : cases) {
    Plan run;
    try {
      from_json(json, "j", run);
      ADD_FAILURE() << json;
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find(reason), 0u) << e.what();
    }
  }
}

TEST(Fields, LoadNamesAMissingFile) {
  Plan run;
  try {
    load_toml("/nonexistent/c.toml", run);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("/nonexistent/c.toml: cannot open"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace duet
