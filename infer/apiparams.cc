#include "infer/apiparams.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/quote.h"
#include "text/unicode.h"

namespace duet {
namespace {

constexpr int64_t kMostValues = 100'000;

template <class... A>
[[noreturn]] void bad(std::string_view param, A&&... parts) {
  throw HttpError(400, join(param, ": ", parts...), std::string(param), "invalid_value");
}

bool media(const HttpRequest& r, std::string_view type) {
  std::string given(r.header("content-type").substr(0, r.header("content-type").find(';')));
  while (!given.empty() && given.back() == ' ') given.pop_back();
  for (char& c : given) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return given == type;
}

// A form says everything in words.
Value from_words(const Field& f, const std::string& words) {
  Value v;
  if (f.kind == Field::flag) {
    if (words != "true" && words != "false") bad(f.name, "expected true or false, not ", shown(words));
    v.is = words == "true";
  } else if (f.kind == Field::integer || f.kind == Field::number) {
    double x = 0;
    const auto [end, error] = std::from_chars(words.data(), words.data() + words.size(), x);
    if (error != std::errc() || end != words.data() + words.size()) bad(f.name, "expected a number, not ", shown(words));
    if (f.kind == Field::integer && x == std::floor(x) && std::abs(x) < 9e15) v.is = int64_t(x);
    else v.is = x;
  } else {
    v.is = words;
  }
  return v;
}

bool among(std::string_view choices, std::string_view word) {
  for (size_t at = 0; at <= choices.size();) {
    const size_t end = std::min(choices.find('|', at), choices.size());
    if (choices.substr(at, end - at) == word) return true;
    at = end + 1;
  }
  return false;
}

std::string plain(double x) { return x == std::floor(x) && std::abs(x) < 9e15 ? std::to_string(int64_t(x)) : json_number(x); }

}  // namespace

Params::Params(const HttpRequest& r, std::span<const Field> fields, bool forms, bool needs_body) {
  if (forms && media(r, "multipart/form-data")) {
    form_ = true;
    try {
      parts_ = parse_multipart(r.header("content-type"), r.body);
    } catch (const HttpError&) {
      throw;
    } catch (const Error& e) {
      throw HttpError(400, e.what(), {}, "invalid_form");
    }
    for (const FormPart& p : parts_) {
      const Field* field = nullptr;
      for (const Field& f : fields)
        if (p.name == f.name || p.name == std::string(f.name) + "[]") field = &f;
      if (!field || field->kind == Field::file) {
        if (!field && (table_.keys.push_back(p.name), true)) table_.values.emplace_back();
        continue;
      }
      if (p.file) bad(field->name, "a file was sent where words are expected");
      if (has(field->name)) bad(field->name, "given twice");
      table_.keys.push_back(field->name);
      table_.values.push_back(from_words(*field, std::string(p.body)));
    }
  } else if (media(r, "application/json") || (r.body.empty() && !needs_body)) {
    // A value takes a hundred bytes where its text may take two.
    if (std::count(r.body.begin(), r.body.end(), ',') > kMostValues)
      throw HttpError(413, join("the body holds more than ", kMostValues, " values"), {}, "too_many_values");
    try {
      if (!r.body.empty()) table_ = std::get<Value::Table>(read_json(r.body, "the body").is);
    } catch (const Error& e) {
      const std::string why = e.what();
      throw HttpError(400, why.ends_with("expected a JSON object") ? why : why + "; a JSON object is expected", {},
                      "invalid_json");
    }
  } else {
    throw HttpError(
        415, forms ? "Content-Type must be application/json or multipart/form-data" : "Content-Type must be application/json");
  }
  for (const Field& f : fields) check(f);
  for (const std::string& key : table_.keys) {
    bool known = false;
    for (const Field& f : fields) known = known || key == f.name;
    if (known || unknown_.size() > 200) continue;
    for (const char c : key.substr(0, 40))  // it goes into a header
      if (c < 0x21 || c > 0x7e || c == ',') known = true;
    if (!known) unknown_ += (unknown_.empty() ? "" : ", ") + key.substr(0, 40);
  }
}

const Value* Params::find(std::string_view name) const {
  for (size_t i = 0; i < table_.keys.size(); ++i)
    if (table_.keys[i] == name)
      return std::holds_alternative<std::monostate>(table_.values[i].is) ? nullptr : &table_.values[i];
  return nullptr;
}

void Params::check(const Field& f) {
  const Value* v = find(f.name);
  if (!v) {
    if (f.required && files(f.name).empty())
      throw HttpError(400, join(f.name, ": missing; it is needed (", f.doc, ")"), f.name, "missing_required_parameter");
    return;
  }
  const auto* s = std::get_if<std::string>(&v->is);
  switch (f.kind) {
    case Field::text:
      if (!s) bad(f.name, "expected words (a JSON string)");
      if (f.most > 0 && s->size() > size_t(f.most)) bad(f.name, s->size(), " bytes; at most ", plain(f.most), " are read");
      if (!valid_utf8(*s)) bad(f.name, "not UTF-8");
      break;
    case Field::choice:
      if (!s || !among(f.choices, *s)) bad(f.name, "expected one of ", f.choices, s ? ", not " + shown(*s) : "");
      break;
    case Field::flag:
      if (!std::holds_alternative<bool>(v->is)) bad(f.name, "expected true or false");
      break;
    case Field::integer:
    case Field::number: {
      const auto* whole = std::get_if<int64_t>(&v->is);
      const auto* real = std::get_if<double>(&v->is);
      if (!whole && !real) bad(f.name, "expected a number");
      const double x = whole ? double(*whole) : *real;
      if (f.kind == Field::integer && x != std::floor(x)) bad(f.name, "expected a whole number, not ", json_number(x));
      if (!(x >= f.least && x <= f.most)) bad(f.name, "must be from ", plain(f.least), " to ", plain(f.most));
      break;
    }
    case Field::file:
    case Field::any:
      break;
  }
}

std::string Params::text(std::string_view name, std::string otherwise) const {
  const Value* v = find(name);
  return v ? std::get<std::string>(v->is) : std::move(otherwise);
}
double Params::number(std::string_view name, double otherwise) const {
  const Value* v = find(name);
  if (!v) return otherwise;
  const auto* whole = std::get_if<int64_t>(&v->is);
  return whole ? double(*whole) : std::get<double>(v->is);
}
int64_t Params::integer(std::string_view name, int64_t otherwise) const {
  const Value* v = find(name);
  if (!v) return otherwise;
  const auto* whole = std::get_if<int64_t>(&v->is);
  return whole ? *whole : int64_t(std::get<double>(v->is));
}
bool Params::flag(std::string_view name, bool otherwise) const {
  const Value* v = find(name);
  return v ? std::get<bool>(v->is) : otherwise;
}

std::vector<const FormPart*> Params::files(std::string_view name) const {
  std::vector<const FormPart*> out;
  for (const FormPart& p : parts_)
    if (p.name == name || p.name == std::string(name) + "[]") out.push_back(&p);
  return out;
}

const Value* member(const Value& v, std::string_view name) {
  const auto* t = std::get_if<Value::Table>(&v.is);
  if (!t) return nullptr;
  for (size_t i = 0; i < t->keys.size(); ++i)
    if (t->keys[i] == name) return std::holds_alternative<std::monostate>(t->values[i].is) ? nullptr : &t->values[i];
  return nullptr;
}
const std::string* as_string(const Value* v) { return v ? std::get_if<std::string>(&v->is) : nullptr; }

}  // namespace duet
