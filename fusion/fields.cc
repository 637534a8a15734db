#include "fusion/fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "fusion/values.h"
#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/quote.h"
#include "text/nearest.h"

namespace duet {
namespace {

constexpr int64_t kMostBytes = 1 << 20;
constexpr size_t kMostTables = 4096;  // elements of a vector of structs: a short text must not make gigabytes

// Where in the text a complaint points: "FILE:LINE: " or "FILE: ".
std::string place(const std::string& name, const Value& v) {
  return v.line ? fmt::format("{}:{}: ", name, v.line) : name + ": ";
}

std::string under(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}

// What a value is, in words: for "expected ..., got ...".
std::string describe(const Value& v) {
  return std::visit(
      [](const auto& x) -> std::string {
        using T = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<T, bool>) return x ? "true" : "false";
        if constexpr (std::is_same_v<T, int64_t>) return fmt::format("the integer {}", x);
        if constexpr (std::is_same_v<T, double>) return fmt::format("the number {}", x);
        if constexpr (std::is_same_v<T, std::string>) return "the string " + shown(x);
        if constexpr (std::is_same_v<T, Value::List>) return fmt::format("a list of {}", x.size());
        if constexpr (std::is_same_v<T, Value::Table>) return "a table";
        return "a date or null";
      },
      v.is);
}

struct Reader {
  const std::string& name;

  [[noreturn]] void expected(const std::string& path, const Value& v, std::string_view what) const {
    refuse(place(name, v), path, ": expected ", what, ", got ", describe(v));
  }

  void read(bool& to, const std::string& path, const Value& v) const {
    if (!std::holds_alternative<bool>(v.is)) expected(path, v, "true or false");
    to = std::get<bool>(v.is);
  }

  template <std::integral T>
  void read(T& to, const std::string& path, const Value& v) const {
    const int64_t* n = std::get_if<int64_t>(&v.is);
    if (!n) expected(path, v, "an integer");
    if (*n < std::numeric_limits<T>::min() || *n > std::numeric_limits<T>::max())
      expected(path, v, fmt::format("an integer of {} bits", sizeof(T) * 8));
    to = T(*n);
  }

  template <std::floating_point T>
  void read(T& to, const std::string& path, const Value& v) const {
    double x = 0;
    if (const int64_t* n = std::get_if<int64_t>(&v.is)) x = double(*n);
    else if (const double* d = std::get_if<double>(&v.is)) x = *d;
    else expected(path, v, "a number");
    if (!std::isfinite(T(x))) expected(path, v, "a finite number in range");
    to = T(x);
  }

  void read(std::string& to, const std::string& path, const Value& v) const {
    if (!std::holds_alternative<std::string>(v.is)) expected(path, v, "a string in quotes");
    to = std::get<std::string>(v.is);
  }

  template <class T>
  void read(std::vector<T>& to, const std::string& path, const Value& v) const {
    const Value::List* list = std::get_if<Value::List>(&v.is);
    if (!list) expected(path, v, "a list in [ ]");
    std::vector<T> fresh;
    for (size_t i = 0; i < list->size(); ++i) {
      T item{};
      read(item, under(path, std::to_string(i)), (*list)[i]);
      fresh.push_back(std::move(item));
    }
    to = std::move(fresh);
  }

  void read(const Fields& fields, const std::string& path, const Value& v) const {
    const Value::Table* table = std::get_if<Value::Table>(&v.is);
    if (!table) expected(path, v, "a table");
    for (size_t i = 0; i < table->keys.size(); ++i) {
      const std::string& key = table->keys[i];
      const Value& value = table->values[i];
      read(find(fields, path, key, value), under(path, key), value);
    }
  }

  void read(const FieldList& list, const std::string& path, const Value& v) const {
    const Value::List* values = std::get_if<Value::List>(&v.is);
    if (!values) expected(path, v, fmt::format("tables, each under [[{}]]", path));
    if (values->size() > kMostTables) expected(path, v, fmt::format("at most {} tables", kMostTables));
    list.reset(values->size());
    for (size_t i = 0; i < values->size(); ++i) read(list.at(i), under(path, std::to_string(i)), (*values)[i]);
  }

  void read(const Field& field, const std::string& path, const Value& v) const {
    std::visit(
        [&]<class T>(const T& at) {
          if constexpr (std::is_pointer_v<T>) read(*at, path, v);
          else read(at, path, v);
        },
        field.at);
  }

  const Field& find(const Fields& fields, const std::string& path, std::string_view key, const Value& v) const;
};

const Field& Reader::find(const Fields& fields, const std::string& path, std::string_view key, const Value& v) const {
  for (const Field& f : fields)
    if (f.name == key) return f;
  std::vector<std::string> known;
  for (const Field& f : fields) known.emplace_back(f.name);
  const std::string_view nearest = nearest_word(known, key);
  refuse(place(name, v), "unknown key ", shown(under(path, key)),
         nearest.empty() ? "" : "; the nearest known one is " + shown(under(path, nearest)));
}

std::string text_of(bool x) { return x ? "true" : "false"; }
std::string text_of(int x) { return std::to_string(x); }
std::string text_of(int64_t x) { return std::to_string(x); }
std::string text_of(float x) { return json_number(x); }
std::string text_of(double x) { return json_number(x); }
// A JSON string is a TOML string but for DEL, which TOML wants escaped.
std::string text_of(const std::string& x) {
  std::string s = json_string(x);
  for (size_t i = s.find('\x7f'); i != std::string::npos; i = s.find('\x7f', i)) s.replace(i, 1, "\\u007f");
  return s;
}
template <class T>
std::string text_of(const std::vector<T>& list) {
  std::string s = "[";
  for (size_t i = 0; i < list.size(); ++i) s += (i ? ", " : "") + text_of(T(list[i]));
  return s + "]";
}

// Values of a table come before its sub-tables: in TOML what follows a header belongs to that header.
void print_toml(const Fields& fields, const std::string& path, std::string& out) {
  for (const Field& f : fields)
    std::visit(
        [&]<class T>(const T& at) {
          if constexpr (std::is_pointer_v<T>) out += f.name + " = " + text_of(*at) + "\n";
          // An empty list has no [[header]] to stand for it, and must still replace a default that is not empty.
          if constexpr (std::is_same_v<T, FieldList>)
            if (!at.size()) out += f.name + " = []\n";
        },
        f.at);
  for (const Field& f : fields) {
    std::string name = under(path, f.name);
    if (auto* table = std::get_if<Fields>(&f.at)) {
      out += "\n[" + name + "]\n";
      print_toml(*table, name, out);
    } else if (auto* list = std::get_if<FieldList>(&f.at)) {
      for (size_t i = 0; i < list->size(); ++i) {
        out += "\n[[" + name + "]]\n";
        print_toml(list->at(i), name, out);
      }
    }
  }
}

void print_json(const Fields& fields, std::string& out) {
  out += "{";
  for (size_t i = 0; i < fields.size(); ++i) {
    out += (i ? ", " : "") + json_string(fields[i].name) + ": ";
    std::visit(
        [&]<class T>(const T& at) {
          if constexpr (std::is_pointer_v<T>) {
            out += text_of(*at);
          } else if constexpr (std::is_same_v<T, Fields>) {
            print_json(at, out);
          } else {
            out += "[";
            for (size_t j = 0; j < at.size(); ++j) out += j ? ", " : "", print_json(at.at(j), out);
            out += "]";
          }
        },
        fields[i].at);
  }
  out += "}";
}

}  // namespace

void load_toml(const std::string& path, const Fields& fields) { parse_toml(read_file(path, kMostBytes), path, fields); }

void parse_toml(std::string_view text, const std::string& name, const Fields& fields) {
  Reader{name}.read(fields, "", read_toml(text, name));
}

void from_json(std::string_view text, const std::string& name, const Fields& fields) {
  Reader{name}.read(fields, "", read_json(text, name));
}

// On a command line the commonest slip is to write a list as words.
static Value value_of(std::string_view text, const std::string& name) {
  try {
    return read_toml("value = " + std::string(text), name);
  } catch (const Error& e) {
    refuse(e.what(), "; write a number as 0.5, a list as 'data.dirs=[\"a\", \"b\"]' in quotes of the shell");
  }
}

void set_key(const Fields& fields, std::string_view assignment) {
  std::string name = "--set " + std::string(assignment.substr(0, 200));
  Reader reader{name};
  size_t equals = assignment.find('=');
  if (equals == std::string_view::npos) refuse(name, ": expected key=value, for example optimizer.lr=0.001");
  std::string_view path = assignment.substr(0, equals), text = assignment.substr(equals + 1);

  // Walk to the field; a list is entered by index.
  Fields level = fields;
  std::string seen;
  for (;;) {
    size_t dot = path.find('.');
    std::string_view key = path.substr(0, dot);
    Field field = reader.find(level, seen, key, {});
    seen = under(seen, key);
    if (dot == std::string_view::npos) {
      bool plain = std::holds_alternative<std::string*>(field.at) && (text.empty() || (text[0] != '"' && text[0] != '\''));
      Value value;
      if (plain) {
        value.is = std::string(text);
      } else {
        Value doc = value_of(text, name);
        auto& table = std::get<Value::Table>(doc.is);
        if (table.keys.size() != 1) refuse(name, ": expected one value after '='");
        value = std::move(table.values[0]);
      }
      value.line = 0;
      return reader.read(field, seen, value);
    }
    path.remove_prefix(dot + 1);
    if (auto* table = std::get_if<Fields>(&field.at)) {
      level = *table;
    } else if (auto* list = std::get_if<FieldList>(&field.at)) {
      size_t end = std::min(path.find('.'), path.size()), index = 0;
      auto [stop, error] = std::from_chars(path.data(), path.data() + end, index);
      if (error != std::errc() || stop != path.data() + end || index >= list->size() || end == path.size())
        refuse(name, ": ", seen, " is a list of ", list->size(), "; expected ", seen, ".INDEX.KEY=value");
      level = list->at(index);
      seen = under(seen, path.substr(0, end));
      path.remove_prefix(end + 1);
    } else {
      refuse(name, ": ", seen, " holds a value, not further keys");
    }
  }
}

std::string to_toml(const Fields& fields) {
  std::string out;
  print_toml(fields, "", out);
  return out;
}

std::string to_json(const Fields& fields) {
  std::string out;
  print_json(fields, out);
  return out;
}

}  // namespace duet
