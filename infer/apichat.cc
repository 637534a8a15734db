// OpenAI's chat route, for what this model can say: what is on a picture, in English or Korean, or which of some
// choices fits it. It is no language model: words alone get no answer.
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>

#include "infer/apihandlers.h"
#include "text/unicode.h"

namespace duet {
namespace {

using Json = nlohmann::ordered_json;

struct Question {
  std::string text;  // of the last message of the user that holds any
  std::vector<Image> pictures;
};

[[noreturn]] void bad(const std::string& why) { throw HttpError(400, "messages: " + why, "messages", "invalid_value"); }

void read_part(const Call& c, const Value& part, std::string& text, std::vector<Image>& pictures) {
  const std::string* type = as_string(member(part, "type"));
  if (!type) bad("each part of a content needs a type: text or image_url");
  if (*type == "text") {
    const std::string* words = as_string(member(part, "text"));
    if (!words) bad("a part of type text needs its text");
    text += (text.empty() ? "" : "\n") + *words;
  } else if (*type == "image_url") {
    const Value* image = member(part, "image_url");
    const std::string* url = image ? (as_string(image) ? as_string(image) : as_string(member(*image, "url"))) : nullptr;
    if (!url) bad("a part of type image_url needs image_url.url, a data URL");
    if (pictures.size() >= 8) bad("more than 8 pictures");
    pictures.push_back(c.api.picture(c.api.inline_bytes(*url, "messages"), "messages"));
  } else {
    bad("a part of a content is text or image_url");
  }
}

Question read_question(const Call& c) {
  const Value* v = c.params.json("messages");
  const auto* list = v ? std::get_if<Value::List>(&v->is) : nullptr;
  if (!list || list->empty()) bad("expected a list of messages, at least one");
  Question q;
  for (const Value& message : *list) {
    const std::string* role = as_string(member(message, "role"));
    if (!role) bad("each message needs a role");
    const Value* content = member(message, "content");
    if (*role != "user" || !content) continue;
    std::string text;
    std::vector<Image> pictures;
    if (const auto* words = as_string(content)) text = *words;
    else if (const auto* parts = std::get_if<Value::List>(&content->is))
      for (const Value& part : *parts) read_part(c, part, text, pictures);
    else bad("content is words or a list of parts");
    if (!text.empty()) q.text = text;
    if (!pictures.empty()) q.pictures = std::move(pictures);
  }
  if (!valid_utf8(q.text)) bad("not UTF-8");
  if (q.pictures.empty())
    throw HttpError(400,
                    "messages: no picture; this model says what is on pictures, so send one as a part of type "
                    "image_url with a data URL",
                    "messages", "image_required");
  return q;
}

// Lines "A. cat", "B) dog", "(C) owl": the choices and how each line begins.
void lettered_lines(const std::string& text, std::vector<std::string>& labels, std::vector<std::string>& letters) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    while (!line.empty() && line[0] == ' ') line.remove_prefix(1);
    const bool open = line.starts_with('(');
    if (open) line.remove_prefix(1);
    if (line.size() < 3 || line[0] != char('A' + labels.size())) continue;
    if (line[1] != ')' && (open || (line[1] != '.' && line[1] != ':'))) continue;
    std::string label = clean_caption(std::string(line.substr(2)));
    if (label.empty()) continue;
    letters.push_back(std::string(1, line[0])), labels.push_back(std::move(label));
  }
}

struct Choices {
  std::vector<std::string> labels, letters;  // letters: none where the choices came as a list
};
Choices read_choices(const Call& c, const Question& q) {
  Choices out;
  if (const Value* v = c.params.json("choices")) {
    const auto* list = std::get_if<Value::List>(&v->is);
    if (!list || list->size() > 200)
      throw HttpError(400, "choices: expected a list of 2 to 200 words", "choices", "invalid_value");
    for (const Value& item : *list) {
      if (!as_string(&item)) throw HttpError(400, "choices: expected words", "choices", "invalid_value");
      out.labels.push_back(clean_caption(*as_string(&item)));
    }
  } else {
    lettered_lines(q.text, out.labels, out.letters);
    if (out.labels.size() < 2) out = {};
  }
  return out;
}

bool wants_korean(const std::string& text) {
  for (const char* word : {"in English", "in english", "영어로"})
    if (text.find(word) != std::string::npos) return false;
  for (const char* word : {"in Korean", "in korean", "한국어"})
    if (text.find(word) != std::string::npos) return true;
  return has_hangul(text);
}

// The likeliest wording, unless a temperature, or top_p alone, asks for words by chance.
SampleOptions read_sampling(const Params& p) {
  SampleOptions o;
  o.top_p = std::max(1e-6f, float(p.number("top_p", 1)));  // 0: the likeliest token alone
  o.temperature = float(p.number("temperature", o.top_p < 1 ? 1 : 0));
  if (o.temperature == 0) return {};  // equal options are read together
  o.seed = p.has("seed") ? uint64_t(p.integer("seed", 0)) : std::random_device{}();
  return o;
}

std::vector<std::string> read_stops(const Call& c) {
  const auto bad_stop = [](const char* why) { throw HttpError(400, join("stop: ", why), "stop", "invalid_value"); };
  std::vector<std::string> out;
  const Value* v = c.params.json("stop");
  if (!v) return out;
  const auto* list = std::get_if<Value::List>(&v->is);
  if (!list && !as_string(v)) bad_stop("expected words, or a list of them");
  if (list && list->size() > 16) bad_stop("more than 16");
  for (const Value& item : list ? *list : Value::List{*v}) {
    const std::string* words = as_string(&item);
    if (!words || !valid_utf8(*words) || words->size() > 256) bad_stop("expected words of at most 256 bytes");
    if (!words->empty()) out.push_back(*words);
  }
  return out;
}

// The text up to the first stop. More may come: also without an end that a stop may begin with.
std::string before_stop(const std::string& text, const std::vector<std::string>& stops, bool more) {
  size_t end = text.size();
  for (const std::string& stop : stops) end = std::min(end, text.find(stop));
  if (end < text.size() || !more) return text.substr(0, end);
  for (const std::string& stop : stops)
    for (size_t n = std::min(stop.size() - 1, text.size()); n > 0; --n)
      if (text.ends_with(stop.substr(0, n))) {
        end = std::min(end, text.size() - n);
        break;
      }
  return text.substr(0, end);
}

struct Answer {
  const Call& c;
  const bool stream, with_usage;
  const int64_t created =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string said = {};
  bool begun = false;

  Json head(const char* object) const {
    return {{"id", "chatcmpl-" + c.request.id},
            {"object", object},
            {"created", created},
            {"model", c.api.model.name},
            {"system_fingerprint", "duet_" + c.api.model.hash}};
  }
  bool chunk(Json delta, Json finish) const {
    Json j = head("chat.completion.chunk");
    j["choices"] =
        Json::array({{{"index", 0}, {"delta", std::move(delta)}, {"logprobs", nullptr}, {"finish_reason", std::move(finish)}}});
    if (with_usage) j["usage"] = nullptr;
    return c.event("", j);
  }
  // All that is known of the text so far; what was already sent must be its beginning.
  bool say(const std::string& text) {
    if (!stream || !text.starts_with(said) || text.size() == said.size()) return true;
    if (!std::exchange(begun, true)) {
      c.begin_events();
      chunk({{"role", "assistant"}, {"content", ""}}, nullptr);
    }
    const bool there = chunk({{"content", text.substr(said.size())}}, nullptr);
    said = text;
    return there;
  }
  void finish(const std::string& text, bool cut, int64_t in, int64_t out) {
    const Json usage{{"prompt_tokens", in}, {"completion_tokens", out}, {"total_tokens", in + out}};
    const char* why = cut ? "length" : "stop";
    if (!stream) {
      Json j = head("chat.completion");
      j["choices"] = Json::array({{{"index", 0},
                                   {"message", {{"role", "assistant"}, {"content", text}, {"refusal", nullptr}}},
                                   {"logprobs", nullptr},
                                   {"finish_reason", why}}});
      j["usage"] = usage;
      return c.send(j);
    }
    say(text);
    if (!begun) c.begin_events(), chunk({{"role", "assistant"}, {"content", ""}}, nullptr);
    chunk(Json::object(), why);
    if (with_usage) {
      Json j = head("chat.completion.chunk");
      j["choices"] = Json::array(), j["usage"] = usage;
      c.event("", j);
    }
    c.out.write("data: [DONE]\n\n");
    c.out.end();
  }
};

}  // namespace

void chat(Call& c) {
  const Question q = read_question(c);
  const Value* options = c.params.json("stream_options");
  const Value* wants = options ? member(*options, "include_usage") : nullptr;
  Answer answer{c, c.params.flag("stream", false),
                wants && std::holds_alternative<bool>(wants->is) && std::get<bool>(wants->is)};
  const ModelConfig& m = c.api.model.model.config;
  const int64_t side = m.size / m.patch;
  const int64_t in = int64_t(c.api.model.tokenizer.encode(q.text).size()) + side * side * int64_t(q.pictures.size());
  std::string text;
  if (const Choices choices = read_choices(c, q); !choices.labels.empty()) {
    const Event e = c.api.run(c, ClassifyTask{q.pictures, choices.labels, "", ClassifyBy::embedding});
    for (const auto& p : e.probabilities) {
      const size_t best = size_t(std::max_element(p.begin(), p.end()) - p.begin());
      text += text.empty() ? "" : "\n";
      const bool only = q.text.find("letter") != std::string::npos;
      if (!choices.letters.empty()) text += choices.letters[best] + (only ? "" : ". ");
      if (choices.letters.empty() || !only) text += choices.labels[best];
    }
    return answer.finish(text, false, in, int64_t(c.api.model.tokenizer.encode(text).size()));
  }
  CaptionTask task{q.pictures, {}};
  task.options.sample = read_sampling(c.params);
  const std::vector<std::string> stops = read_stops(c);
  task.options.korean = c.params.text("lang", wants_korean(q.text) ? "ko" : "en") == "ko";
  task.options.most =
      int(std::min<int64_t>(task.options.most, c.params.integer("max_completion_tokens", c.params.integer("max_tokens", 256))));
  const Event e = c.api.run(c, std::move(task), [&](Event& so_far) {
    // Of several pictures each line would have to wait for the one before it: they are said when all are done.
    return so_far.kind != Event::words || q.pictures.size() > 1 || answer.say(before_stop(so_far.text, stops, true));
  });
  int64_t out = 0;
  bool cut = false;
  for (const Caption& caption : e.captions) {
    text += (text.empty() ? "" : "\n") + caption.text;
    out += int64_t(caption.ids.size()), cut = cut || int(caption.ids.size()) >= task.options.most;
  }
  if (const std::string kept = before_stop(text, stops, false); kept.size() < text.size())
    text = kept, cut = false, out = int64_t(c.api.model.tokenizer.encode(text).size());
  answer.finish(text, cut, in, out);
}

}  // namespace duet
