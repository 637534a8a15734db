// A folder of pictures with a table beside it, and a table of what its styles are called.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "kernels/error.h"
#include "kernels/files.h"
#include "text/unicode.h"
#include "train/koreanwords.h"
#include "train/sources.h"
#include "train/words.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

constexpr size_t kMostTable = 256 << 20;  // bytes
constexpr size_t kMostTags = 12;          // of a picture; tables hold up to 60, the later the further off

using Row = std::map<std::string, std::string>;  // column -> cell

// The rows of a TSV. `each` gets the row or, where a line has not as many cells as the first, an empty one.
void read_tsv(const std::string& file, const std::function<void(const std::set<std::string>&)>& check,
              const std::function<void(Row&&, size_t line)>& each) {
  std::string text = read_file(file, kMostTable);
  std::vector<std::string> columns;
  for (size_t at = 0, number = 1; at < text.size(); number++) {
    size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line(text.data() + at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    std::vector<std::string> cells;
    for (size_t from = 0; from <= line.size();) {
      size_t tab = std::min(line.find('\t', from), line.size());
      cells.emplace_back(line.substr(from, tab - from));
      from = tab + 1;
    }
    if (columns.empty()) {
      columns = cells;
      check({cells.begin(), cells.end()});
      continue;
    }
    Row row;
    if (cells.size() == columns.size())
      for (size_t i = 0; i < cells.size(); i++) row[columns[i]] = std::move(cells[i]);
    each(std::move(row), number);
  }
  if (columns.empty()) refuse(file, ": empty; expected a line of column names, tabs between");
}

// "column 'ko', byte 3 (0xb0)" of the first cell that is not; empty: all are.
std::string not_utf8(const Row& row) {
  for (const auto& [column, words] : row)
    if (const size_t at = broken_utf8(words); at != words.npos) return "column '" + column + "', " + shown_byte(words, at);
  return {};
}

struct Style {
  std::string folder, style, word, ko, license, source;
};

std::vector<Style> read_styles(const std::string& file) {
  std::vector<Style> styles;
  read_tsv(
      file,
      [&](auto& columns) {
        for (const char* needed : {"folder", "style", "word", "ko", "license", "source"})
          if (!columns.contains(needed)) refuse(file, ": no column '", needed, "' in its first line");
      },
      [&](Row&& r, size_t line) {
        if (const std::string broken = not_utf8(r); !broken.empty())
          refuse(file, ": line ", line, ", ", broken, " is not UTF-8");
        if (r.empty()) refuse(file, ": a line has not as many cells as the first");
        styles.push_back({r["folder"], r["style"], r["word"], r["ko"], r["license"], r["source"]});
      });
  return styles;
}

// Whether `file` names something below the folder and nothing beside it.
bool inside(const std::string& file) {
  fs::path p(file);
  return !file.empty() && !p.is_absolute() && file.find('\0') == file.npos && std::find(p.begin(), p.end(), "..") == p.end();
}

std::vector<std::string> words_in(const std::string& cell) {
  auto words = split_words(cell, "|");
  if (words.size() > kMostTags) words.resize(kMostTags);
  return words;
}

std::string table_concept(const std::string& caption) {
  std::string name = concept_of(caption);
  for (std::string_view end : {" outline", " filled", " variant"})
    if (name.ends_with(end)) name.resize(name.size() - end.size());
  return name;
}

// The first of the columns that the row has, with something in it.
std::string cell(const Row& row, std::initializer_list<const char*> columns) {
  for (const char* c : columns)
    if (auto it = row.find(c); it != row.end() && !it->second.empty()) return it->second;
  return {};
}

Candidate candidate(const Row& row, const std::string& folder, const std::vector<Style>& styles) {
  Candidate c;
  std::string file = cell(row, {"file"}), path = folder + "/" + file;
  c.key = file.substr(0, file.rfind('.'));
  c.draw = [path](int size) { return draw_file(path, size); };
  Meta& m = c.meta;
  m.caption = cell(row, {"en", "name"});
  m.caption_ko = cell(row, {"ko"});
  m.tags = words_in(cell(row, {"en_keywords", "tags"}));
  m.tags_ko = words_in(cell(row, {"ko_keywords"}));
  if (auto groups = split_words(cell(row, {"group", "categories"}), "|"); !groups.empty()) m.group = groups[0];
  m.style = cell(row, {"style"});
  m.license = cell(row, {"license"}), m.source = cell(row, {"source"});
  for (auto& s : styles) {
    if (!file.starts_with(s.folder) || (!s.style.empty() && s.style != m.style)) continue;
    m.style = s.word, m.style_ko = s.ko, m.license = s.license, m.source = s.source;
    break;
  }
  plainer_words(m);
  if (!m.caption.empty()) c.subject = table_concept(m.caption);
  if (m.caption_ko.empty()) m.caption_ko = korean_word(c.subject);
  return c;
}

}  // namespace

void find_table(const std::string& table, const SourceOptions& options, const Sink& sink, SourceReport& report) {
  if (!fs::is_regular_file(table)) refuse(table, ": no such file; a table source is table:FOLDER/NAME.tsv");
  report.name = "table:" + fs::path(table).filename().string();
  std::string folder = fs::path(table).parent_path().string();
  if (folder.empty()) folder = ".";
  std::string beside = folder + "/styles.tsv", names = options.styles.empty() ? beside : options.styles;
  std::vector<Style> styles;
  if (!options.styles.empty() || fs::exists(beside)) styles = read_styles(names);
  std::set<std::string> licenses;
  auto check = [&](const std::set<std::string>& columns) {
    if (!columns.contains("file")) refuse(table, ": no column 'file' in its first line");
    if (!columns.contains("en") && !columns.contains("name") && !columns.contains("ko"))
      refuse(table, ": no column 'en', 'name' or 'ko' in its first line");
  };
  read_tsv(table, check, [&](Row&& row, size_t line) {
    report.found++;
    if (const std::string broken = not_utf8(row); !broken.empty()) {
      leave_out(report, "caption is not UTF-8", join(table, ": line ", line, ", ", broken));
    } else if (row.empty()) {
      report.dropped["not as many cells as columns"]++;
    } else if (!inside(row["file"])) {
      report.dropped["file outside the folder"]++;
    } else {
      Candidate c = candidate(row, folder, styles);
      licenses.insert(c.meta.license.empty() ? "as given" : c.meta.license);
      sink(std::move(c));
    }
  });
  for (auto& l : licenses) report.license += (report.license.empty() ? "" : ", ") + l;
}

}  // namespace duet
