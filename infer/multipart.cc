#include "infer/multipart.h"

#include <algorithm>

#include "kernels/error.h"

namespace duet {
namespace {

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c + 32) : c;
  return out;
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// The value of `; name=value` or `; name="value"` in a header; false: there is none.
bool parameter(std::string_view header, std::string_view name, std::string& value) {
  size_t at = std::min(header.find(';'), header.size());
  while (at < header.size()) {
    ++at;
    const size_t equal = header.find('=', at), next = header.find(';', at);
    if (equal == header.npos) return false;
    if (next < equal) {
      at = next;
      continue;
    }
    const std::string key = lower(trimmed(header.substr(at, equal - at)));
    std::string text;
    at = equal + 1;
    if (at < header.size() && header[at] == '"') {
      for (++at; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && at + 1 < header.size() && (header[at + 1] == '"' || header[at + 1] == '\\')) ++at;
        text += header[at];
      }
      if (at >= header.size()) return false;
      at = std::min(header.find(';', at), header.size());
    } else {
      const size_t end = std::min(header.find(';', at), header.size());
      text = std::string(trimmed(header.substr(at, end - at)));
      at = end;
    }
    if (key == name) return value = std::move(text), true;
  }
  return false;
}

FormPart part_of(std::string_view headers, size_t number) {
  FormPart p;
  bool named = false;
  for (size_t at = 0; at < headers.size();) {
    const size_t end = std::min(headers.find("\r\n", at), headers.size());
    const std::string_view line = headers.substr(at, end - at);
    at = end + 2;
    const size_t colon = line.find(':');
    if (colon == line.npos) refuse("part ", number, " of the form has a header line without a colon");
    const std::string name = lower(trimmed(line.substr(0, colon)));
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (name == "content-disposition") {
      named = lower(value).starts_with("form-data") && parameter(value, "name", p.name);
      p.file = parameter(value, "filename", p.filename);
    }
    if (name == "content-type") p.type = lower(value);
    if (name == "content-transfer-encoding" && lower(value) != "binary" && lower(value) != "8bit" && lower(value) != "7bit")
      refuse("part ", number, " of the form has a Content-Transfer-Encoding; send its bytes as they are");
  }
  if (!named || p.name.empty()) refuse("part ", number, " of the form has no 'Content-Disposition: form-data; name=...'");
  return p;
}

}  // namespace

std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body) {
  std::string boundary;
  if (!parameter(content_type, "boundary", boundary) || boundary.empty() || boundary.size() > 70)
    refuse("the Content-Type names no boundary of 1 to 70 characters: multipart/form-data; boundary=...");
  const std::string line = "--" + boundary, next = "\r\n" + line;
  size_t at;
  if (body.starts_with(line)) at = line.size();
  else if (const size_t first = body.find(next); first != body.npos) at = first + next.size();  // after a preamble
  else refuse("the body does not hold the boundary that its Content-Type names");
  std::vector<FormPart> parts;
  for (;;) {
    if (body.substr(at, 2) == "--") return parts;
    while (at < body.size() && (body[at] == ' ' || body[at] == '\t')) ++at;
    const size_t number = parts.size() + 1;
    if (body.substr(at, 2) != "\r\n") refuse("part ", number, " of the form: its boundary is not followed by a line break");
    if (number > kMostParts) refuse("the form has more than ", kMostParts, " parts");
    at += 2;
    const std::string_view room = body.substr(at, kMostPartHeader);
    size_t end = room.starts_with("\r\n") ? 0 : room.find("\r\n\r\n");
    if (end == room.npos)
      refuse("part ", number, " of the form: no empty line after at most ", kMostPartHeader, " bytes of headers");
    parts.push_back(part_of(room.substr(0, end), number));
    at += end + (end == 0 ? 2 : 4);
    // The line break before a boundary belongs to it; of an empty part it is the one that ended the headers.
    const size_t from = at - 2, close = body.find(next, from);
    if (close == body.npos) refuse("part ", number, " of the form does not end with its boundary; the body is cut short");
    parts.back().body = close < at ? std::string_view{} : body.substr(at, close - at);
    at = close + next.size();
  }
}

}  // namespace duet
