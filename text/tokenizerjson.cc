// Reading tokenizer.json: every byte is a stranger's.
#include <simdjson.h>

#include <unordered_map>

#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/quote.h"
#include "text/bpe.h"
#include "text/tokenizer.h"

namespace duet {
namespace {

namespace dom = simdjson::dom;

constexpr int64_t kMaxBytes = int64_t{128} << 20;
constexpr int64_t kMaxTokens = 1'000'000;

struct Reader {
  const std::string& name;

  dom::element at(dom::object o, const char* where, const char* key) const {
    dom::element e;
    if (o[key].get(e)) refuse(name, ": ", where, key, " is missing; this is not a whole tokenizer.json");
    return e;
  }
  dom::object object(dom::object o, const char* where, const char* key) const {
    dom::object found;
    if (at(o, where, key).get(found)) refuse(name, ": ", where, key, " is not an object");
    return found;
  }
  std::string_view text(dom::object o, const char* where, const char* key) const {
    std::string_view found;
    if (at(o, where, key).get(found)) refuse(name, ": ", where, key, " is not a string");
    return found;
  }
  // The key is absent, null, false or an empty string or zero: the setting is off.
  void must_be_off(dom::object o, const char* where, const char* key) const {
    dom::element e;
    if (o[key].get(e) || e.is_null()) return;
    bool flag;
    double number;
    std::string_view s;
    if ((!e.get(flag) && !flag) || (!e.get(number) && number == 0) || (!e.get(s) && s.empty())) return;
    refuse(name, ": ", where, key, " is set, which duet does not support; it reads byte-level BPE as GPT-2 uses it");
  }
  int id(dom::element e, const char* where, std::string_view key) const {
    int64_t found;
    if (e.get(found) || found < 0 || found >= kMaxTokens)
      refuse(name, ": ", where, shown(key), " is not an id from 0 to ", kMaxTokens - 1);
    return static_cast<int>(found);
  }
};

void check_kind(const Reader& r, dom::object root, dom::object model) {
  if (std::string_view kind = r.text(model, "model.", "type"); kind != "BPE")
    refuse(r.name, ": model.type is ", shown(kind), "; duet reads BPE");
  for (const char* key :
       {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk", "byte_fallback", "ignore_merges"})
    r.must_be_off(model, "model.", key);
  r.must_be_off(root, "", "normalizer");
  dom::object cutter = r.object(root, "", "pre_tokenizer");
  if (std::string_view kind = r.text(cutter, "pre_tokenizer.", "type"); kind != "ByteLevel")
    refuse(r.name, ": pre_tokenizer.type is ", shown(kind), "; duet reads ByteLevel");
  r.must_be_off(cutter, "pre_tokenizer.", "add_prefix_space");
  dom::element use;
  bool on = true;
  if (!cutter["use_regex"].get(use) && (use.get(on) || !on))
    refuse(r.name, ": pre_tokenizer.use_regex is not true, which duet does not support");
}

using Vocabulary = std::unordered_map<std::string_view, int>;

Vocabulary read_vocabulary(const Reader& r, dom::object model) {
  Vocabulary ids;
  for (auto [spelled, value] : r.object(model, "model.", "vocab")) {
    if (static_cast<int64_t>(ids.size()) >= kMaxTokens) refuse(r.name, ": model.vocab has more than ", kMaxTokens, " tokens");
    int id = r.id(value, "model.vocab.", spelled);
    if (!ids.emplace(spelled, id).second) refuse(r.name, ": model.vocab has the key ", shown(spelled), " twice; remove one");
  }
  return ids;
}

// Adds the special tokens to ids where model.vocab lacks them, and returns their ids.
std::vector<int> read_added(const Reader& r, dom::object root, Vocabulary& ids) {
  std::vector<int> specials;
  dom::element list;
  if (root["added_tokens"].get(list)) return specials;
  dom::array added;
  if (list.get(added)) refuse(r.name, ": added_tokens is not a list");
  for (dom::element e : added) {
    std::string where = join("added_tokens[", specials.size(), "].");
    dom::object token;
    if (e.get(token)) refuse(r.name, ": ", where, " is not an object");
    std::string_view content = r.text(token, where.c_str(), "content");
    int id = r.id(r.at(token, where.c_str(), "id"), where.c_str(), "id");
    bool special = false;
    if (r.at(token, where.c_str(), "special").get(special) || !special)
      refuse(r.name, ": ", where, "special is not true; duet reads added tokens only if they are special");
    if (ids.emplace(content, id).first->second != id)
      refuse(r.name, ": ", where, "id is ", id, ", but model.vocab says ", ids[content], " for ", shown(content));
    specials.push_back(id);
  }
  return specials;
}

std::vector<std::pair<int, int>> read_merges(const Reader& r, dom::object model, const Vocabulary& ids) {
  dom::array list;
  if (r.at(model, "model.", "merges").get(list)) refuse(r.name, ": model.merges is not a list");
  std::vector<std::pair<int, int>> merges;
  for (dom::element e : list) {
    auto where = [&] { return join("model.merges[", merges.size(), "]"); };
    std::string_view left, right, both;
    dom::array pair;
    if (!e.get(both)) {
      size_t space = both.find(' ');
      if (space == both.npos) refuse(r.name, ": ", where(), " ", shown(both), " is not two tokens with a space between");
      left = both.substr(0, space);
      right = both.substr(space + 1);
    } else if (e.get(pair) || pair.size() != 2 || pair.at(0).get(left) || pair.at(1).get(right)) {
      refuse(r.name, ": ", where(), " is not a pair of tokens");
    }
    for (std::string_view token : {left, right})
      if (!ids.contains(token))
        refuse(r.name, ": ", where(), " names ", shown(token), ", which model.vocab lacks; the file is damaged");
    merges.emplace_back(ids.at(left), ids.at(right));
  }
  return merges;
}

// Token bytes by id: no id twice, none left out.
std::vector<std::string> by_id(const Reader& r, const Vocabulary& ids, const std::vector<int>& specials) {
  std::vector<std::string> tokens(ids.size());
  std::vector<bool> taken(ids.size()), special(ids.size());
  auto in_range = [&](int id) {
    if (id >= static_cast<int>(ids.size()))
      refuse(r.name, ": model.vocab has id ", id, " but only ", ids.size(), " tokens; ids must run from 0 without a hole");
  };
  for (int id : specials) {
    in_range(id);
    special[id] = true;
  }
  for (auto& [spelled, id] : ids) {
    in_range(id);
    if (taken[id]) refuse(r.name, ": model.vocab gives id ", id, " to two tokens, one is ", shown(spelled));
    taken[id] = true;
    std::optional<std::string> bytes = unspell_bytes(spelled);
    if (!special[id] && (!bytes || bytes->empty()))
      refuse(r.name, ": model.vocab has ", shown(spelled), ", which is not spelled in the byte-level alphabet");
    tokens[id] = special[id] ? std::string(spelled) : *bytes;
  }
  return tokens;
}

}  // namespace

Tokenizer Tokenizer::parse(std::string_view json, const std::string& name) {
  if (static_cast<int64_t>(json.size()) > kMaxBytes)
    refuse(name, ": is larger than ", kMaxBytes >> 20, " MiB, which no tokenizer.json is");
  dom::parser parser;
  dom::object root;
  simdjson::padded_string padded(json);
  if (auto error = parser.parse(padded).get(root))
    refuse(name, ": not a whole JSON object (", simdjson::error_message(error), "); fetch or save the file again");
  Reader r{name};
  dom::object model = r.object(root, "", "model");
  check_kind(r, root, model);
  Vocabulary ids = read_vocabulary(r, model);
  std::vector<int> specials = read_added(r, root, ids);
  std::vector<std::pair<int, int>> merges = read_merges(r, model, ids);
  return make(by_id(r, ids, specials), merges, specials, name);
}

Tokenizer Tokenizer::load(const std::string& path) { return parse(read_file(path, kMaxBytes), path); }

}  // namespace duet
