// What a request says, checked against the fields its route declares. The same declarations make /openapi.json.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fusion/values.h"
#include "infer/http.h"
#include "infer/multipart.h"

namespace duet {

struct Field {
  enum Kind { text, integer, number, flag, choice, file, any };  // any: the handler reads the JSON itself
  const char* name;
  Kind kind;
  const char* doc;
  double least = 0, most = 0;  // of integer and number; of text the most bytes
  const char* choices = "";    // of choice, with | between
  bool required = false;
};

// Of a JSON object (application/json), a form (multipart/form-data) or, where neither has a body, nothing. Unknown
// fields are let be and listed; a known one of another type, out of range or missing is HttpError 400 with its name as
// `param`.
class Params {
 public:
  Params(const HttpRequest&, std::span<const Field>, bool forms, bool needs_body);
  bool has(std::string_view name) const { return find(name) != nullptr; }
  std::string text(std::string_view name, std::string otherwise = "") const;
  int64_t integer(std::string_view name, int64_t otherwise) const;
  double number(std::string_view name, double otherwise) const;
  bool flag(std::string_view name, bool otherwise) const;
  const Value* json(std::string_view name) const { return find(name); }  // none: absent or null
  // Parts of a form by this name, those called NAME[] too.
  std::vector<const FormPart*> files(std::string_view name) const;
  bool is_form() const { return form_; }
  const std::string& unknown() const { return unknown_; }  // names, with ", " between

 private:
  const Value* find(std::string_view name) const;
  void check(const Field&);
  Value::Table table_;
  std::vector<FormPart> parts_;
  std::string unknown_;
  bool form_ = false;
};

// Of a JSON object inside a request; none where absent or null.
const Value* member(const Value&, std::string_view name);
const std::string* as_string(const Value*);

}  // namespace duet
