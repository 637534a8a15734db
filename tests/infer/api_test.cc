// Every route as its clients use it, and every refusal of what they may send.
#include <cmath>
#include <cstring>
#include <set>
#include <tuple>

#include "infer/apidraw.h"
#include "infer/bestof.h"
#include "infer/pngmeta.h"
#include "infer/reader.h"
#include "tests/infer/served.h"
#include "tests/vision/rawdicom.h"
#include "vision/patch.h"

namespace duet {
namespace {

struct ApiTest : HttpTest {};

TEST_F(ApiTest, PlainOnes) {
  EXPECT_EQ(ok(get("/health"))["status"], "ok");
  EXPECT_EQ(ok(get("/ready"))["model"], "tiny");
  const Json models = ok(get("/v1/models"));
  EXPECT_EQ(models["object"], "list");
  EXPECT_EQ(models["data"][0]["id"], "tiny");
  EXPECT_EQ(models["data"][0]["object"], "model");
  EXPECT_EQ(models["data"][0]["created"], 7);
  EXPECT_EQ(ok(get("/v1/models/tiny"))["owned_by"], "duet");
  refused(get("/v1/models/other"), 404, "model");
  refused(get("/v1/nothing"), 404);
  refused(get("/v1/images/generations"), 405);
  refused(get("/..%2f..%2fetc/passwd"), 404);
  refused(get("/%zz"), 400);
  const Reply metrics = get("/metrics");
  EXPECT_NE(metrics.body.find("duet_requests_total{route=\"/health\",status=\"200\"} 1\n"), std::string::npos) << metrics.body;
  EXPECT_NE(metrics.body.find("route=\"none\",status=\"404\"} 2\n"), std::string::npos) << metrics.body;
}

TEST_F(ApiTest, TheDescriptionNamesEveryRoute) {
  const Json j = ok(get("/openapi.json"));
  size_t n = 0;
  for (const auto& [path, ops] : j["paths"].items()) n += ops.size();
  EXPECT_EQ(n, routes().size());
  EXPECT_EQ(j["paths"]["/v1/images/generations"]["post"]["requestBody"]["content"]["application/json"]["schema"]["required"],
            Json({"prompt"}));
  const auto& fields =
      j["paths"]["/v1/images/generations"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
  EXPECT_EQ(fields["seed"]["maximum"], int64_t(1) << 53);
  EXPECT_TRUE(fields["guidance"]["maximum"].is_number_integer()) << fields["guidance"].dump();
  const auto& edits =
      j["paths"]["/v1/images/edits"]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"];
  EXPECT_EQ(edits["strength"]["minimum"], 0.01);
}

TEST_F(ApiTest, ModelsSayWhichStylesTheyKnow) {
  EXPECT_EQ(ok(get("/v1/models"))["data"][0]["styles"], Json::array());
  served = std::make_unique<Served>(ApiOptions{}, HttpLimits{}, EngineLimits{}, Sampling{},
                                    std::vector<std::string>{"line icon", "mine"});
  EXPECT_EQ(ok(get("/v1/models"))["data"][0]["styles"],
            (Json{{{"name", "line icon"}, {"name_ko", "선 아이콘"}}, {{"name", "mine"}, {"name_ko", ""}}}));
}

TEST_F(ApiTest, AStyleIsTakenAsPeopleWriteItAndAStrangeOneIsSaid) {
  served = std::make_unique<Served>(ApiOptions{}, HttpLimits{}, EngineLimits{}, Sampling{},
                                    std::vector<std::string>{"line icon", "outline"});
  const auto drawn = [&](const char* style, const char* prompt = "a") {
    const Reply r = call("POST", "/v1/images/generations", Json{{"prompt", prompt}, {"style", style}, {"steps", 1}}.dump());
    EXPECT_EQ(r.status, 200) << r.body;
    return std::pair(read_drawn(bytes_of(Json::parse(r.body)["data"][0]["b64_json"]), "reply")->style,
                     r.headers.contains("x-duet-unknown-style") ? r.headers.at("x-duet-unknown-style") : "");
  };
  EXPECT_EQ(drawn("Line-Icon"), std::pair(std::string("line icon"), std::string()));
  EXPECT_EQ(drawn("라인 아이콘"), std::pair(std::string("line icon"), std::string())) << "the prompt's language";
  EXPECT_EQ(drawn("Line-Icon", "별"), std::pair(std::string("선 아이콘"), std::string()));
  const std::string where = "GET /v1/models lists the styles of this model";
  EXPECT_EQ(drawn("outlin"), std::pair(std::string("outlin"), "did you mean outline; " + where));
  EXPECT_EQ(drawn("선 아이곤"), std::pair(std::string("선 아이곤"), "did you mean line icon; " + where)) << "headers are ASCII";
  EXPECT_EQ(drawn("완전히 다른 것"), std::pair(std::string("완전히 다른 것"), where));
  EXPECT_EQ(drawn(""), std::pair(std::string(), std::string()));
}

// A model that was taught to draw in few steps is drawn with as it says, where a request does not say otherwise.
TEST_F(ApiTest, StepsAndGuidanceAreTheModelsWhereNobodyAsks) {
  served = std::make_unique<Served>(ApiOptions{}, HttpLimits{}, EngineLimits{}, Sampling{3, 1, 2});
  EXPECT_EQ(ok(get("/v1/models"))["data"][0]["sampling"], (Json{{"steps", 3}, {"guidance", 1.0}}));
  const auto drawn = [&](Json more) {
    more.update({{"prompt", "a red star"}, {"seed", 1}});
    return read_drawn(bytes_of(post("/v1/images/generations", more)["data"][0]["b64_json"]), "reply").value_or(DrawnMeta{});
  };
  const DrawnMeta usual = drawn(Json::object()), asked = drawn({{"steps", 5}, {"guidance", 2}});
  EXPECT_EQ(usual.steps, 3);
  EXPECT_EQ(usual.guidance, 1);
  EXPECT_EQ(usual.shift, 2);
  EXPECT_EQ(asked.steps, 5);
  EXPECT_EQ(asked.guidance, 2);
  EXPECT_EQ(drawn({{"quality", "low"}}).steps, 2);
  EXPECT_EQ(drawn({{"quality", "high"}}).steps, 3);
  EXPECT_EQ(post("/v1/images/generations", {{"prompt", "a"}, {"quality", "low"}})["quality"], "low");
  EXPECT_EQ(post("/sdapi/v1/txt2img", {{"prompt", "a"}})["parameters"]["steps"], 3);
}

// quality high and best_of: of each eight the picture that the model reads best, under the seed that draws it alone.
TEST_F(ApiTest, OfSeveralDrawingsTheBestIsGivenWithItsSeed) {
  const Json asked = {{"prompt", "a red star"}, {"seed", 5}, {"steps", 2}, {"n", 2}};
  const auto with = [&](Json more) {
    more.update(asked);
    return post("/v1/images/generations", more);
  };
  const Json high = with({{"quality", "high"}}), eight = with({{"best_of", 8}});
  EXPECT_EQ(high["quality"], "high");
  EXPECT_EQ(high["data"], eight["data"]);
  EXPECT_EQ(high["usage"]["output_tokens"], 8 * with({})["usage"]["output_tokens"].get<int>());
  ASSERT_EQ(high["data"].size(), 2u);
  for (int i = 0; i < 2; ++i) {
    std::vector<DrawRequest> requests;
    for (int k = 0; k < 8; ++k) requests.push_back({prompt_ids(tiny_tokenizer(), "a red star"), {}, uint64_t(5 + 8 * i + k)});
    const DrawOptions o{.steps = 2, .guidance = read_drawn(bytes_of(high["data"][i]["b64_json"]), "reply")->guidance};
    const auto pixels = draw(*served->model, tiny_tokenizer(), requests, o);
    std::vector<Image> images;
    for (int k = 0; k < 8; ++k) images.push_back(finished(pixels.data() + k * 24 * 24 * 4, 24, 24, Finish::clean));
    const size_t best = best_of(own_scores(*served->model, tiny_tokenizer(), "a red star", images, BestBy::both));
    EXPECT_EQ(high["data"][i]["seed"], 5 + 8 * i + int(best));
    Json alone = asked;
    alone["seed"] = high["data"][i]["seed"], alone["n"] = 1;
    EXPECT_EQ(post("/v1/images/generations", alone)["data"][0]["b64_json"], high["data"][i]["b64_json"]);
  }
  EXPECT_EQ(with({{"best_of", 1}, {"quality", "high"}})["data"], with({})["data"]);
  refused(call("POST", "/v1/images/generations", Json{{"prompt", "a"}, {"seed", int64_t(1) << 53}, {"quality", "high"}}.dump()),
          400, "seed");
  // A queue that holds fewer: as many as fit of its own accord, and a plain word where more are asked for.
  served = std::make_unique<Served>(ApiOptions{}, HttpLimits{}, EngineLimits{.waiting = 5});
  EXPECT_EQ(post("/v1/images/generations", {{"prompt", "a"}, {"quality", "hd"}, {"n", 2}, {"steps", 1}})["data"].size(), 2u);
  const Reply many =
      call("POST", "/v1/images/generations", Json{{"prompt", "a"}, {"best_of", 3}, {"n", 2}, {"steps", 1}}.dump());
  EXPECT_EQ(many.status, 400) << many.body;
  EXPECT_NE(many.body.find("6 drawings at a time, best_of counted"), std::string::npos) << many.body;
  refused(call("POST", "/v1/images/generations", Json{{"prompt", " "}, {"best_of", 2}}.dump()), 400, "best_of");
  refused(call("POST", "/v1/images/generations", Json{{"prompt", "a"}, {"best_of", 9}}.dump()), 400, "best_of");
  EXPECT_EQ(post("/v1/images/generations", {{"prompt", ""}, {"quality", "hd"}, {"steps", 1}})["data"].size(), 1u);
}

TEST_F(ApiTest, DrawsWhatTheSamplerDraws) {
  const Json j = post("/v1/images/generations", {{"prompt", "빨간 원"}, {"n", 3}, {"seed", 5}, {"steps", 4}, {"guidance", 2}});
  ASSERT_EQ(j["data"].size(), 3u);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(j["data"][i]["seed"], 5 + i);
    const auto png = bytes_of(j["data"][i]["b64_json"]);
    const auto pixels = draw(*served->model, tiny_tokenizer(), {{prompt_ids(tiny_tokenizer(), "빨간 원"), {}, uint64_t(5 + i)}},
                             {.steps = 4, .guidance = 2});
    EXPECT_EQ(decode_image(png, "reply").rgba, finished(pixels.data(), 24, 24, Finish::clean).rgba);
    const auto meta = read_drawn(png, "reply");
    ASSERT_TRUE(meta);
    EXPECT_EQ(meta->seed, 5 + i);
    EXPECT_EQ(meta->prompt, "빨간 원");
    EXPECT_EQ(meta->finish, "clean");
    const Json r = post("/v1/images/generations",
                        {{"prompt", "빨간 원"}, {"seed", 5 + i}, {"steps", 4}, {"guidance", 2}, {"finish", "raw"}});
    const auto raw = bytes_of(r["data"][0]["b64_json"]);
    EXPECT_EQ(decode_image(raw, "reply").rgba, from_pixels(pixels.data(), 24, 24).rgba);
    EXPECT_EQ(read_drawn(raw, "reply")->finish, "raw");
  }
  EXPECT_EQ(j["size"], "24x24");
  EXPECT_EQ(j["usage"]["output_tokens"], 3 * 9);
}

TEST_F(ApiTest, FormatsSizesAndBackgrounds) {
  const auto one = [&](Json more) {
    more.update({{"prompt", "a red star"}, {"steps", 1}, {"seed", 1}});
    return post("/v1/images/generations", more);
  };
  Image i = image_of(one({{"size", "100x60"}})["data"][0]["b64_json"]);
  EXPECT_EQ(i.width, 100);
  EXPECT_EQ(i.height, 60);
  i = image_of(one({{"output_format", "jpeg"}, {"size", "32x16"}})["data"][0]["b64_json"]);
  EXPECT_EQ(i.width, 32);
  EXPECT_EQ(one({{"output_format", "webp"}})["output_format"], "webp");
  for (const char* format : {"png", "jpeg", "webp"}) {
    const auto file = bytes_of(one({{"output_format", format}})["data"][0]["b64_json"]);
    EXPECT_NE(as_text(file).find("digitalsourcetype/trainedAlgorithmicMedia"), std::string::npos) << format;
  }
  i = image_of(one({{"background", "opaque"}})["data"][0]["b64_json"]);
  for (size_t a = 3; a < i.rgba.size(); a += 4) ASSERT_EQ(i.rgba[a], 255);
  EXPECT_TRUE(one({{"response_format", "url"}})["data"][0]["url"].get<std::string>().starts_with("data:image/png;base64,"));
  // What was drawn smaller than the file says so in it.
  const auto meta_of = [&](Json more) {
    return read_drawn(bytes_of(one(std::move(more))["data"][0]["b64_json"]), "reply").value_or(DrawnMeta{});
  };
  const DrawnMeta large = meta_of({{"size", "96x96"}}), wide = meta_of({{"size", "48x24"}}), plain = meta_of({});
  EXPECT_EQ(std::tuple(large.width, large.height, large.drawn_width, large.drawn_height), std::tuple(96, 96, 24, 24));
  EXPECT_EQ(std::tuple(plain.width, plain.height, plain.drawn_width, plain.drawn_height), std::tuple(24, 24, 0, 0));
  EXPECT_EQ(std::tuple(wide.width, wide.height, wide.drawn_width, wide.drawn_height), std::tuple(48, 24, 24, 24));
  const Json wordless = post("/v1/images/generations", {{"prompt", ""}, {"steps", 1}, {"guidance", 4}});
  EXPECT_EQ(read_drawn(bytes_of(wordless["data"][0]["b64_json"]), "reply")->guidance, 1) << "no words, nothing to steer by";
  const Reply r = call("POST", "/v1/images/generations", R"({"prompt": "a", "steps": 1, "novel": 1, "other": null})");
  EXPECT_EQ(r.headers.at("x-duet-ignored"), "novel, other");
}

TEST_F(ApiTest, StreamsRealPictures) {
  start();
  Client c(served->port);
  c.say(request_text("POST", "/v1/images/generations",
                     R"({"prompt": "a red circle", "n": 2, "steps": 8, "seed": 3, "stream": true, "partial_images": 3})"));
  const Reply r = take_reply(c);
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.headers.at("content-type"), "text/event-stream");
  int partial[2] = {}, complete = 0;
  for (const Json& e : events_of(r.body)) {
    const int index = e["index"];
    if (e["type"] == "image_generation.partial_image") {
      EXPECT_EQ(e["partial_image_index"], partial[index]++);
      EXPECT_EQ(image_of(e["b64_json"]).width, 24);
    } else {
      ++complete;
      EXPECT_EQ(e["type"], "image_generation.completed");
      EXPECT_TRUE(e.contains("usage"));
      const Json alone = post("/v1/images/generations", {{"prompt", "a red circle"}, {"steps", 8}, {"seed", 3 + index}});
      EXPECT_EQ(e["b64_json"], alone["data"][0]["b64_json"]) << "the same seed, the same file";
    }
    for (const char* key : {"created_at", "size", "quality", "background", "output_format"})
      EXPECT_TRUE(e.contains(key)) << key;
  }
  EXPECT_EQ(complete, 2);
  EXPECT_EQ(partial[0], 3);
  EXPECT_EQ(partial[1], 3);
  c.say(request_text("GET", "/health"));
  EXPECT_EQ(take_reply(c).status, 200) << "the connection goes on";
}

TEST_F(ApiTest, EditsLeaveTheRestByteForByte) {
  const Image from = tiny_picture(3, 50, 40, true);
  Image mask(50, 40);
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 50; ++x) mask.at(x, y)[3] = x < 20 && y > 9 ? 0 : 255;
  const auto check = [&](const Json& j) {
    const Image got = image_of(j["data"][0]["b64_json"]);
    ASSERT_EQ(got.width, 50);
    ASSERT_EQ(got.height, 40);
    int changed = 0;
    for (int y = 0; y < 40; ++y)
      for (int x = 0; x < 50; ++x) {
        const bool same = std::memcmp(got.at(x, y), from.at(x, y), 4) == 0;
        ASSERT_TRUE(same || mask.at(x, y)[3] == 0) << x << ' ' << y;
        changed += !same;
      }
    EXPECT_GT(changed, 300);
  };
  check(ok(call("POST", "/v1/images/edits",
                form({{"prompt", "a blue star"}, {"steps", "3"}, {"seed", "1"}}, {{"image", from}, {"mask", mask}}), kForm)));
  check(ok(call("POST", "/v1/images/edits",
                form({{"prompt", "a blue star"}, {"steps", "3"}}, {{"image[]", from}, {"mask", mask}}), kForm)));
  check(post("/v1/images/edits", {{"prompt", "a blue star"},
                                  {"steps", 3},
                                  {"images", {{{"image_url", url_of(from)}}}},
                                  {"mask", {{"image_url", url_of(mask)}}}}));
  const Json whole = post("/v1/images/edits", {{"prompt", "a"}, {"steps", 4}, {"image", url_of(from)}, {"stream", false}});
  EXPECT_EQ(image_of(whole["data"][0]["b64_json"]).width, 50);
  refused(call("POST", "/v1/images/edits", form({{"prompt", "a"}}, {}), kForm), 400, "image");
  refused(call("POST", "/v1/images/edits", form({{"prompt", "a"}}, {{"image", from}, {"image[]", from}}), kForm), 400, "image");
  refused(call("POST", "/v1/images/edits", form({{"prompt", "a"}}, {{"image", from}, {"mask", tiny_picture(1, 9, 9)}}), kForm),
          400, "mask");
  refused(
      call("POST", "/v1/images/edits", form({{"prompt", "a"}}, {{"image", from}, {"mask", tiny_picture(1, 50, 40)}}), kForm),
      400, "mask");
  refused(call("POST", "/v1/images/edits", form({{"prompt", "a"}, {"n", "two"}}, {{"image", from}}), kForm), 400, "n");
}

// What lies beside a picture that is not square is of its ground, and stays: nothing grows in from there.
TEST_F(ApiTest, BesideAGivenPictureNothingIsDrawn) {
  start();
  Sketch s(Sampling{});
  s.from = Image(48, 24), s.strength = 0.5;
  std::fill(s.from.rgba.begin(), s.from.rgba.end(), uint8_t(255));
  const DrawPlan plan = plan_of(served->api.model, s);
  ASSERT_EQ(plan.drawn_size, 24);
  ASSERT_EQ(plan.task.given->change.size(), 24u * 24);
  for (int y = 0; y < 24; ++y) {
    EXPECT_EQ(plan.task.given->change[size_t(y) * 24 + 5], y >= 6 && y < 18) << y;
    EXPECT_EQ(plan.task.given->pixels[(size_t(y) * 24 + 5) * 4 + 3], 1) << "opaque everywhere, " << y;
  }
  Sketch square(Sampling{});
  square.from = tiny_picture(3, 30, 30);
  EXPECT_TRUE(plan_of(served->api.model, square).task.given->change.empty()) << "all of it may change";
}

TEST_F(ApiTest, Variations) {
  const Json j =
      ok(call("POST", "/v1/images/variations", form({{"n", "2"}, {"steps", "2"}}, {{"image", tiny_picture(4)}}), kForm));
  EXPECT_EQ(j["data"].size(), 2u);
  refused(call("POST", "/v1/images/variations", form({{"n", "2"}}, {}), kForm), 400, "image");
}

Json ask(const std::string& words, const Image& image) {
  return {
      {{"role", "user"},
       {"content", {{{"type", "text"}, {"text", words}}, {{"type", "image_url"}, {"image_url", {{"url", url_of(image)}}}}}}}};
}

TEST_F(ApiTest, ChatSaysWhatIsOnAPicture) {
  const Image image = tiny_picture(6, 30, 24);
  for (const bool korean : {false, true}) {
    const std::string words = korean ? "이게 뭐야?" : "What is this?";
    const Json j = post("/v1/chat/completions", {{"model", "tiny"}, {"messages", ask(words, image)}});
    CaptionOptions o;
    o.korean = korean;
    const std::string expected = caption_pictures(*served->model, tiny_tokenizer(), {&image, 1}, o)[0].text;
    EXPECT_EQ(j["choices"][0]["message"]["content"], expected);
    EXPECT_EQ(j["object"], "chat.completion");
    EXPECT_EQ(j["usage"]["total_tokens"].get<int>(),
              j["usage"]["prompt_tokens"].get<int>() + j["usage"]["completion_tokens"].get<int>());
    const Reply r =
        call("POST", "/v1/chat/completions",
             Json{{"messages", ask(words, image)}, {"stream", true}, {"stream_options", {{"include_usage", true}}}}.dump());
    EXPECT_EQ(r.status, 200);
    EXPECT_TRUE(r.body.ends_with("data: [DONE]\n\n"));
    std::string said;
    const auto events = events_of(r.body);
    ASSERT_GE(events.size(), 3u);
    EXPECT_EQ(events[0]["choices"][0]["delta"]["role"], "assistant");
    for (const Json& e : events)
      if (!e["choices"].empty() && e["choices"][0]["delta"].contains("content")) said += e["choices"][0]["delta"]["content"];
    EXPECT_EQ(said, expected);
    EXPECT_EQ(events.back()["choices"].size(), 0u);
    EXPECT_EQ(events.back()["usage"], j["usage"]);
    EXPECT_TRUE(events[events.size() - 2]["choices"][0]["finish_reason"].is_string());
  }
}

// By chance: the words of the sampler, for the whole answer, the stream and any other request with the seed.
TEST_F(ApiTest, ChatDrawsWordsByTemperature) {
  const Image image = tiny_picture(6, 30, 24);
  std::set<std::string> different;
  for (int seed = 1; seed <= 8; ++seed) {
    CaptionOptions o;
    o.most = 9, o.sample = {.temperature = 1.5f, .top_p = 0.9f, .seed = uint64_t(seed)};
    const std::string expected = caption_pictures(*tiny_model(), tiny_tokenizer(), {&image, 1}, o)[0].text;
    Json body{
        {"messages", ask("What is this?", image)}, {"temperature", 1.5}, {"top_p", 0.9}, {"seed", seed}, {"max_tokens", 9}};
    EXPECT_EQ(post("/v1/chat/completions", body)["choices"][0]["message"]["content"], expected);
    body["stream"] = true;
    std::string said;
    for (const Json& e : events_of(call("POST", "/v1/chat/completions", body.dump()).body))
      said += e["choices"][0]["delta"].value("content", "");
    EXPECT_EQ(said, expected);
    different.insert(expected);
  }
  EXPECT_GT(different.size(), 3u);
  Json body{{"messages", ask("What is this?", image)}};
  const Json likeliest = post("/v1/chat/completions", body)["choices"];
  body["temperature"] = 0, body["seed"] = 5;
  EXPECT_EQ(post("/v1/chat/completions", body)["choices"], likeliest);
  body["temperature"] = 1, body["top_p"] = 0;
  CaptionOptions greedy;
  greedy.beam = 1;
  EXPECT_EQ(post("/v1/chat/completions", body)["choices"][0]["message"]["content"],
            caption_pictures(*tiny_model(), tiny_tokenizer(), {&image, 1}, greedy)[0].text);
  for (const auto& [name, value] : std::vector<std::pair<const char*, Json>>{
           {"temperature", 2.5}, {"temperature", -1}, {"top_p", 1.5}, {"seed", "x"}, {"max_tokens", 0}, {"n", 2}}) {
    Json wrong{{"messages", ask("a", image)}};
    wrong[name] = value;
    refused("/v1/chat/completions", wrong, name);
  }
}

TEST_F(ApiTest, ChatEndsBeforeAStop) {
  const Image image = tiny_picture(6, 30, 24);
  Json body{{"messages", ask("What is this?", image)}, {"temperature", 1.5}, {"seed", 3}};
  const std::string whole = post("/v1/chat/completions", body)["choices"][0]["message"]["content"];
  ASSERT_GT(whole.size(), 8u);
  const auto check = [&](const Json& stop, const std::string& expected, const char* why) {
    SCOPED_TRACE(stop.dump());
    body["stop"] = stop, body["stream"] = false;
    const Json choice = post("/v1/chat/completions", body)["choices"][0];
    EXPECT_EQ(choice["message"]["content"], expected);
    EXPECT_TRUE(!*why || choice["finish_reason"] == why) << choice.dump();
    body["stream"] = true;
    std::string said;
    for (const Json& e : events_of(call("POST", "/v1/chat/completions", body.dump()).body))
      said += e["choices"][0]["delta"].value("content", "");
    EXPECT_EQ(said, expected);
  };
  size_t middle = whole.size() / 2;
  while (uint8_t(whole[middle]) >> 6 == 2) ++middle;  // where a letter begins
  const std::string rest = whole.substr(middle);
  check(rest, whole.substr(0, middle), "stop");
  check({rest + "!", whole.substr(0, middle) + "\t"}, whole, "");  // both begin in it, none is there
  check({"\n\n", rest, whole}, "", "stop");
  check(nullptr, whole, "");
  check("", whole, "");
  for (const Json& bad :
       {Json(7), Json({1}), Json({{"a", "b"}}), Json(std::vector<std::string>(17, "a")), Json(std::string(300, 'a'))})
    refused("/v1/chat/completions", {{"messages", ask("a", image)}, {"stop", bad}}, "stop");
}

TEST_F(ApiTest, ALetterThatTheModelCannotReadIsSaid) {
  const auto unread = [&](const char* route, const char* prompt) {
    const Reply r = call("POST", route, Json{{"prompt", prompt}, {"steps", 1}}.dump());
    EXPECT_EQ(r.status, 200) << r.body;
    return r.headers.contains("x-duet-unread") ? r.headers.at("x-duet-unread") : "";
  };
  for (const char* route : {"/v1/images/generations", "/sdapi/v1/txt2img"}) {
    EXPECT_EQ(unread(route, "a 赤 circle"),
              "U+8D64; this model has not learned to read it: say it in words of English or Korean");
    EXPECT_EQ(unread(route, "a circle, 별"), "");
  }
}

TEST_F(ApiTest, ChatChooses) {
  const Image image = tiny_picture(6);
  const auto model = tiny_model();
  const Classifier classify(*model, tiny_tokenizer(), {"cat", "dog", "owl"});
  const auto p = classify({&image, 1})[0];
  const size_t best = size_t(std::max_element(p.begin(), p.end()) - p.begin());
  const char* names[] = {"cat", "dog", "owl"};
  EXPECT_EQ(post("/v1/chat/completions",
                 {{"messages", ask("which?", image)}, {"choices", {"cat", "dog", "owl"}}})["choices"][0]["message"]["content"],
            names[best]);
  EXPECT_EQ(post("/v1/chat/completions", {{"messages", ask("Which? Answer with the letter.\nA. cat\nB. dog\nC. owl",
                                                           image)}})["choices"][0]["message"]["content"],
            std::string(1, char('A' + best)));
  refused("/v1/chat/completions", {{"messages", {{{"role", "user"}, {"content", "hello"}}}}}, "messages");
  refused("/v1/chat/completions", {{"messages", Json::array()}}, "messages");
  refused("/v1/chat/completions", {{"messages", ask("a", image)}, {"choices", {"one"}}}, "");
  refused("/v1/chat/completions",
          {{"messages",
            {{{"role", "user"}, {"content", {{{"type", "image_url"}, {"image_url", {{"url", "http://127.0.0.1/x.png"}}}}}}}}}},
          "messages");
}

TEST_F(ApiTest, StableDiffusionClients) {
  const Json j = post("/sdapi/v1/txt2img", {{"prompt", "a red star"},
                                            {"steps", 3},
                                            {"seed", 4},
                                            {"batch_size", 2},
                                            {"cfg_scale", 2},
                                            {"width", 24},
                                            {"height", 24},
                                            {"restore_faces", false},
                                            {"override_settings", Json::object()}});
  ASSERT_EQ(j["images"].size(), 2u);
  const auto let_be = [&](const Json& more) {
    Json body{{"prompt", "a (red heart:1.3) <lora:foo:1>"}, {"steps", 1}};
    body.update(more);
    const Reply r = call("POST", "/sdapi/v1/txt2img", body.dump());
    return std::pair(Json::parse(r.body)["parameters"]["prompt"].get<std::string>(), r.headers.at("x-duet-ignored"));
  };
  EXPECT_EQ(let_be(Json::object()), std::pair(std::string("a red heart"), std::string("weights in prompts")));
  EXPECT_EQ(let_be({{"prompt", "(a: b) <3 (c"}, {"sampler_name", "DPM++ 2M"}, {"scheduler", "Karras"}}),
            std::pair(std::string("(a: b) <3 (c"), std::string("scheduler, sampler_name")));
  EXPECT_EQ(let_be({{"prompt", "a"}, {"sampler_name", "Heun"}, {"styles", {"sticker", "flat"}}}).second,
            "styles after the first");
  EXPECT_EQ(Json::parse(j["info"].get<std::string>())["all_seeds"], Json({4, 5}));
  const Json info = post("/sdapi/v1/png-info", {{"image", j["images"][1]}});
  EXPECT_EQ(info["parameters"]["seed"], 5);
  EXPECT_NE(info["info"].get<std::string>().find("Steps: 3, Sampler: Euler, CFG scale: 2, Seed: 5"), std::string::npos);
  Image mask(24, 24), from = tiny_picture(5);
  for (size_t i = 0; i < mask.rgba.size(); ++i) mask.rgba[i] = i % 4 == 3 || i < 1000 ? 255 : 0;  // white above
  const Json again = post("/sdapi/v1/img2img", {{"prompt", "a"},
                                                {"steps", 2},
                                                {"init_images", {to_base64(encode_png(from))}},
                                                {"mask", url_of(mask)},
                                                {"denoising_strength", 1}});
  const Image got = image_of(again["images"][0]);
  EXPECT_TRUE(std::equal(got.rgba.begin() + 1000, got.rgba.end(), from.rgba.begin() + 1000));
  EXPECT_FALSE(std::equal(got.rgba.begin(), got.rgba.begin() + 1000, from.rgba.begin()));
  EXPECT_EQ(ok(get("/sdapi/v1/progress"))["progress"], 0);
  EXPECT_TRUE(ok(get("/sdapi/v1/options")).is_object());
  EXPECT_EQ(ok(get("/sdapi/v1/sd-models"))[0]["model_name"], "tiny");
  EXPECT_EQ(ok(get("/sdapi/v1/samplers"))[0]["name"], "Euler");
  EXPECT_TRUE(
      post("/sdapi/v1/interrogate", {{"image", to_base64(encode_png(from))}, {"model", "clip"}})["caption"].is_string());
}

TEST_F(ApiTest, InterruptEndsAndProgressTells) {
  start();
  Client c(served->port);
  c.say(request_text("POST", "/sdapi/v1/txt2img",
                     R"({"prompt": "a", "steps": 200, "batch_size": 10, "width": 48, "height": 48})"));
  double progress = 0;
  for (int i = 0; i < 2000 && progress == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    progress = ok(get("/sdapi/v1/progress"))["progress"];
  }
  EXPECT_GT(progress, 0);
  EXPECT_LT(progress, 1);
  EXPECT_EQ(call("POST", "/sdapi/v1/interrupt").status, 200);
  const Reply r = take_reply(c);
  EXPECT_EQ(r.status, 200);
  EXPECT_LT(Json::parse(r.body)["images"].size(), 10u);
}

TEST_F(ApiTest, RefusesInTheLanguageAskedFor) {
  const std::string bad = R"({"prompt": "x", "n": 99})";
  const Reply ko = call("POST", "/v1/images/generations", bad, {{"Accept-Language", "ko-KR,ko;q=0.9,en;q=0.8"}});
  refused(ko, 400, "n");
  EXPECT_EQ(ko.headers.at("content-language"), "ko");
  const Json k = Json::parse(ko.body)["error"];
  EXPECT_NE(k["message"].get<std::string>().find("까지여야 합니다"), std::string::npos) << k;
  const Reply en = call("POST", "/v1/images/generations", bad, {{"Accept-Language", "en,ko;q=0.8"}});
  EXPECT_EQ(en.headers.at("content-language"), "en");
  EXPECT_NE(Json::parse(en.body)["error"]["message"].get<std::string>().find("must be from"), std::string::npos) << en.body;
  EXPECT_EQ(Json::parse(en.body)["error"]["code"], k["code"]);
  // Before there is a handler: no such route, a body that is too large
  EXPECT_NE(call("GET", "/%zz", "", {{"Accept-Language", "ko"}}).body.find("16진수"), std::string::npos);
  EXPECT_NE(call("GET", "/nowhere", "", {{"Accept-Language", "ko"}}).body.find("그런 주소가 없습니다"), std::string::npos);
}

TEST_F(ApiTest, BadParametersAreNamed) {
  const Json good{{"prompt", "a"}};
  const std::vector<std::pair<const char*, Json>> bad = {{"prompt", 7},
                                                         {"prompt", std::string(5000, 'a')},
                                                         {"n", 0},
                                                         {"n", 11},
                                                         {"n", -1},
                                                         {"n", "1"},
                                                         {"n", 1.5},
                                                         {"n", 1ull << 63},
                                                         {"size", "big"},
                                                         {"size", "0x0"},
                                                         {"size", "99999x99999"},
                                                         {"size", "64x640"},
                                                         {"size", 5},
                                                         {"quality", "best"},
                                                         {"output_format", "gif"},
                                                         {"output_compression", 101},
                                                         {"partial_images", 99},
                                                         {"seed", 1e300},
                                                         {"seed", -2},
                                                         {"steps", 0},
                                                         {"steps", 1 << 20},
                                                         {"guidance", 1e9},
                                                         {"guidance", "x"},
                                                         {"stream", "yes"},
                                                         {"background", "red"},
                                                         {"prompt", nullptr}};
  for (const auto& [name, value] : bad) {
    Json body = good;
    body[name] = value;
    refused("/v1/images/generations", body, name);
  }
  refused("/v1/images/generations", {{"prompt", "a"}, {"n", 5}, {"size", "2048x2048"}}, "n");
  refused("/v1/images/generations", {{"prompt", "a"}, {"background", "transparent"}, {"output_format", "jpeg"}}, "background");
  for (const char* body : {"", "{", "[]", "7", "{\"prompt\": \"a\", \"prompt\": \"b\"}", "\xff\xfe", "{\"n\": 1e999}"}) {
    const Reply r = call("POST", "/v1/images/generations", body, {{"Content-Type", "application/json"}});
    EXPECT_EQ(r.status, 400) << body << ' ' << r.body;
  }
  refused(call("POST", "/v1/images/generations", std::string(100000, '[')), 400);
  const auto says = [&](const std::string& body) {
    const Reply r = call("POST", "/v1/images/generations", body, {{"Content-Type", "application/json"}});
    EXPECT_EQ(r.status, 400) << body;
    return Json::parse(r.body)["error"]["message"].get<std::string>();
  };
  EXPECT_EQ(says("[]"), "the body: expected a JSON object");
  EXPECT_TRUE(says("{").ends_with("; a JSON object is expected"));
  EXPECT_EQ(says(R"({"prompt": "a", "size": "100000x100000"})"), "size: 100000x100000 is too large; sides go up to 2048");
  EXPECT_TRUE(says(R"({"prompt": "a", "size": "+8x8"})").starts_with("size: expected auto or WIDTHxHEIGHT"));
  // As the description says: the last seed is one, and the one after it is none.
  EXPECT_EQ(post("/v1/images/generations", {{"prompt", "a"}, {"steps", 1}, {"seed", int64_t(1) << 53}})["data"][0]["seed"],
            int64_t(1) << 53);
  EXPECT_TRUE(says(R"({"prompt": "a", "seed": 9007199254740994})").starts_with("seed: must be from -1 to 9007199254740992"));
  refused("/v1/images/generations", {{"prompt", "a"}, {"n", 2}, {"seed", int64_t(1) << 53}}, "seed");
  refused(call("POST", "/v1/embeddings", "{\"input\": [" + std::string(400000, ',') + "]}"), 413);
  refused(call("POST", "/v1/images/generations", "prompt=a", {{"Content-Type", "application/x-www-form-urlencoded"}}), 415);
  refused(call("POST", "/v1/images/generations", "{}", {{"Content-Type", "text/plain"}}), 415);
  refused(call("POST", "/v1/images/edits", "--YY\r\n", kForm), 400);
  for (const char* picture :
       {"", "%%%", "aGVsbG8=", "data:image/png;base64,/9g=", "file:///etc/passwd", "https://example.org/a.png"})
    refused("/sdapi/v1/interrogate", {{"image", picture}}, "image");
}

}  // namespace
}  // namespace duet
