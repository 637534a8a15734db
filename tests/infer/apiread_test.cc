// Embeddings and classes over HTTP: what the functions give that the routes stand for, and what is refused.
#include <algorithm>
#include <cstdio>
#include <cstring>

#include "infer/classify.h"
#include "infer/occlusion.h"
#include "infer/reader.h"
#include "tests/infer/served.h"
#include "tests/vision/rawdicom.h"
#include "vision/dicom.h"

namespace duet {
namespace {

struct ApiReadTest : HttpTest {};

TEST_F(ApiReadTest, Embeddings) {
  const Image image = tiny_picture(8);
  const Json floats =
      post("/v1/embeddings", {{"model", "tiny"}, {"input", {"a red circle", {{"image", url_of(image)}}, "빨간 별"}}});
  ASSERT_EQ(floats["data"].size(), 3u);
  const auto expected = embed_pictures(*served->model, {&image, 1});
  for (int e = 0; e < 16; ++e) EXPECT_EQ(floats["data"][1]["embedding"][e].get<float>(), expected.data()[e]);
  const Json coded = post("/v1/embeddings", {{"input", {{"image", url_of(image)}}}, {"encoding_format", "base64"}});
  const auto bytes = bytes_of(coded["data"][0]["embedding"]);
  ASSERT_EQ(bytes.size(), 64u);
  EXPECT_EQ(std::memcmp(bytes.data(), expected.data(), 64), 0);
  const auto ids = tiny_tokenizer().encode("a red circle");
  EXPECT_EQ(post("/v1/embeddings", {{"input", ids}})["data"][0]["embedding"], floats["data"][0]["embedding"]);
  for (const Json& bad : {Json(""), Json(7), Json::array(), Json({1, "a"}), Json({{{"image", "zzz"}}}), Json({-1})})
    refused("/v1/embeddings", {{"input", bad}}, "input");
  refused("/v1/embeddings", {{"input", "a"}, {"dimensions", 3}}, "dimensions");
}

// A scan is read as the file says it is shown, and of the patient nothing comes back.
TEST_F(ApiReadTest, Dicom) {
  rawdicom::Grey scan{.columns = 24, .rows = 16, .stored = {}};
  for (int i = 0; i < 24 * 16; ++i) scan.stored.push_back(i * 37 % 1000);
  const auto url = [](const rawdicom::Raw& bytes) { return "data:application/dicom;base64," + to_base64(bytes); };
  const Json as_dicom = post("/v1/classify", {{"image", url(scan.bytes())}, {"labels", {"cat", "dog"}}});
  EXPECT_EQ(as_dicom["data"],
            post("/v1/classify", {{"image", url_of(decode_dicom(scan.bytes(), "scan"))}, {"labels", {"cat", "dog"}}})["data"]);
  {  // a window for all, as serve --window gives it
    ApiOptions with;
    with.window = Window{300, 100};
    Limits limits;
    limits.window = with.window;
    const Image shown = decode_dicom(scan.bytes(), "scan", limits);
    ASSERT_NE(shown.rgba, decode_dicom(scan.bytes(), "scan").rgba);
    served = std::make_unique<Served>(with);
    const Json j = post("/v1/classify", {{"image", url(scan.bytes())}, {"labels", {"cat", "dog"}}});
    EXPECT_EQ(j["data"], post("/v1/classify", {{"image", url_of(shown)}, {"labels", {"cat", "dog"}}})["data"]);
    EXPECT_NE(j["data"], as_dicom["data"]);
    served = std::make_unique<Served>();
  }
  scan.photometric = "MONOCHROME1";
  EXPECT_NE(as_dicom["data"], post("/v1/classify", {{"image", url(scan.bytes())}, {"labels", {"cat", "dog"}}})["data"]);
  auto cut = scan.bytes();
  cut.resize(400);
  const Reply r = call("POST", "/v1/classify", Json{{"image", url(cut)}, {"labels", {"cat", "dog"}}}.dump());
  refused(r, 400, "image");
  EXPECT_NE(r.body.find("this DICOM file is damaged"), r.body.npos) << r.body;
  EXPECT_EQ(r.body.find("SECRET"), r.body.npos);
}

TEST_F(ApiReadTest, Classify) {
  const Json j = post("/v1/classify", {{"image", url_of(tiny_picture(2))}, {"labels", {"cat", "개"}}});
  double sum = 0;
  for (const Json& p : j["data"][0]["probabilities"]) sum += p["probability"].get<double>();
  EXPECT_NEAR(sum, 1, 1e-9);
  EXPECT_EQ(j["data"][0]["label"], j["data"][0]["probabilities"][0]["label"]);
  EXPECT_EQ(ok(call("POST", "/v1/classify", form({{"labels", "cat,dog"}}, {{"image", tiny_picture(2)}}), kForm))["data"].size(),
            1u);
  refused("/v1/classify", {{"image", url_of(tiny_picture(2))}, {"labels", {"cat"}}}, "labels");
  refused("/v1/classify", {{"labels", {"cat", "dog"}}}, "image");
}

// As `duet classify --calibration --overlay` does, by the same functions.
TEST_F(ApiReadTest, ClassifiesAsCalibrated) {
  const Image one = tiny_picture(2), two = tiny_picture(5);
  const auto model = tiny_model();
  const Classifier classify(*model, tiny_tokenizer(), {"cat", "dog", "owl"}, "scan of {}");
  const auto raw = classify(std::vector{one, two});
  Calibration known{.labels = {"cat", "dog", "owl"}, .sentence = "scan of {}", .weights_xxh3 = "0123456789abcdef"};
  known.temperature = 3, known.q = 0.6, known.pictures = 40, known.units = 20;
  for (int i = 0; i < 60; ++i) known.resampled.push_back(2 + i / 30.);
  refused("/v1/classify", {{"image", url_of(one)}}, "labels");
  EXPECT_FALSE(ok(get("/v1/models"))["data"][0].contains("classes"));
  ApiOptions with;
  with.calibration = known;
  served = std::make_unique<Served>(with);
  EXPECT_EQ(ok(get("/v1/models"))["data"][0]["classes"], Json({"cat", "dog", "owl"}));
  const Json j = post("/v1/classify", {{"image", {url_of(one), url_of(two)}}, {"overlay", true}});
  EXPECT_EQ(j["calibration"], (Json{{"temperature", 3}, {"pictures", 40}, {"units", 20}}));
  ASSERT_EQ(j["data"].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const Json& got = j["data"][i];
    const Calibrated worth = calibrated(known, raw[i]);
    ASSERT_EQ(got["probabilities"].size(), 3u);
    double last = 1;
    for (const Json& p : got["probabilities"]) {
      const size_t l = size_t(std::find(known.labels.begin(), known.labels.end(), p["label"]) - known.labels.begin());
      ASSERT_LT(l, 3u);
      EXPECT_NEAR(p["probability"].get<double>(), worth.p[l], 1e-9);
      EXPECT_NEAR(p["interval_95"][0].get<double>(), worth.interval_95[l].low, 1e-9);
      EXPECT_NEAR(p["interval_95"][1].get<double>(), worth.interval_95[l].high, 1e-9);
      EXPECT_LE(p["probability"].get<double>(), last);
      last = p["probability"];
    }
    Json set = Json::array();
    for (const size_t l : worth.set) set.push_back(known.labels[l]);
    EXPECT_EQ(got["set_90"], set);
    EXPECT_EQ(got["label"], got["probabilities"][0]["label"]);
    EXPECT_EQ(decode_image(bytes_of(got["overlay"].get<std::string>().substr(22)), "overlay").width, 512);
  }
  EXPECT_NE(j["data"][0]["overlay"], j["data"][1]["overlay"]);
  {  // the odds that the overlay speaks of are those of the calibrated probabilities, in the client's language
    const auto read = [&](std::span<const Image> views) {
      auto all = classify(views);
      for (auto& p : all) p = at_temperature(p, known.temperature);
      return all;
    };
    const auto& p = j["data"][0]["probabilities"][0];
    const size_t l = size_t(std::find(known.labels.begin(), known.labels.end(), p["label"]) - known.labels.begin());
    const Image view = model_view(one, int(model->config.size));
    const Heat heat = occlusion(read, view, l, int(model->config.patch));
    char words[64];
    std::snprintf(words, sizeof words, "%s %.3f", known.labels[l].c_str(), p["probability"].get<double>());
    EXPECT_EQ(j["data"][0]["overlay"], url_of(overlay(view, heat, words)));
    const Json korean = ok(call("POST", "/v1/classify", Json{{"image", url_of(one)}, {"overlay", true}}.dump(),
                                {{"Accept-Language", "ko"}, {"Content-Type", "application/json"}}));
    EXPECT_EQ(korean["data"][0]["overlay"], url_of(overlay(view, heat, words, true)));
    EXPECT_NE(korean["data"][0]["overlay"], j["data"][0]["overlay"]);
  }
  // Labels of one's own are asked as without a calibration; what it fixes cannot be said beside it.
  const Json own =
      post("/v1/classify", {{"image", url_of(one)}, {"labels", {"cat", "dog", "owl"}}, {"template", "scan of {}"}});
  EXPECT_NEAR(own["data"][0]["probabilities"][0]["probability"].get<double>(), *std::max_element(raw[0].begin(), raw[0].end()),
              1e-9);
  for (const char* key : {"set_90", "overlay"}) EXPECT_FALSE(own["data"][0].contains(key)) << key;
  EXPECT_FALSE(own.contains("calibration"));
  refused("/v1/classify", {{"image", url_of(one)}, {"template", "a {}"}}, "template");
  refused("/v1/classify", {{"image", url_of(one)}, {"by", "caption"}}, "by");
}

}  // namespace
}  // namespace duet
