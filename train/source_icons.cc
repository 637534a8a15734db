// Icons: Bootstrap's black glyphs, named by their files, and the folders of Papirus, where every colour meets every
// emblem: captions are put together from two small tables, in English and Korean.
#include <algorithm>
#include <span>

#include "text/josa.h"
#include "train/koreanwords.h"
#include "train/sources.h"
#include "train/words.h"

namespace duet {
namespace {

struct Word {
  const char *file, *en, *ko;
};

// Colours of folders. Those named after desktops (adwaita, breeze, nordic, yaru, custom) say nothing.
constexpr Word kColours[] = {
    {"red", "red", "빨간"},
    {"orange", "orange", "주황색"},
    {"yellow", "yellow", "노란"},
    {"green", "green", "초록색"},
    {"blue", "blue", "파란"},
    {"violet", "purple", "보라색"},
    {"pink", "pink", "분홍색"},
    {"brown", "brown", "갈색"},
    {"black", "black", "검은"},
    {"white", "white", "흰"},
    {"grey", "grey", "회색"},
    {"teal", "teal", "청록색"},
    {"cyan", "cyan", "하늘색"},
    {"indigo", "indigo", "남색"},
    {"magenta", "magenta", "자홍색"},
    {"carmine", "crimson", "진홍색"},
    {"bluegrey", "blue-grey", "청회색"},
    {"darkcyan", "dark cyan", "진한 청록색"},
    {"deeporange", "deep orange", "진한 주황색"},
    {"paleorange", "pale orange", "연한 주황색"},
    {"palebrown", "pale brown", "연한 갈색"},
};

// Emblems drawn on folders. Logos keep their name.
constexpr Word kEmblems[] = {
    {"books", "a book", "책"},
    {"code", "code brackets", "코드 괄호"},
    {"documents", "a document", "문서"},
    {"download", "a download arrow", "다운로드 화살표"},
    {"favorites", "a star", "별"},
    {"games", "a game controller", "게임 패드"},
    {"important", "an exclamation mark", "느낌표"},
    {"locked", "a padlock", "자물쇠"},
    {"unlocked", "an open padlock", "열린 자물쇠"},
    {"mail", "an envelope", "편지 봉투"},
    {"music", "a music note", "음표"},
    {"network", "a network", "네트워크"},
    {"photo", "a camera", "카메라"},
    {"pictures", "a picture", "그림"},
    {"print", "a printer", "프린터"},
    {"recent", "a clock", "시계"},
    {"sync", "sync arrows", "동기화 화살표"},
    {"video", "a video camera", "비디오 카메라"},
    {"videos", "a film strip", "필름"},
    {"wifi", "a wifi sign", "와이파이 표시"},
    {"cd", "a disc", "디스크"},
    {"desktop", "a screen", "화면"},
    {"android", "the Android logo", "안드로이드 로고"},
    {"apple", "the Apple logo", "애플 로고"},
    {"github", "the GitHub logo", "깃허브 로고"},
    {"git", "the Git logo", "깃 로고"},
    {"java", "the Java logo", "자바 로고"},
    {"linux", "the Linux logo", "리눅스 로고"},
    {"steam", "the Steam logo", "스팀 로고"},
    {"dropbox", "the Dropbox logo", "드롭박스 로고"},
};

const Word* look_up(std::span<const Word> table, const std::string& file) {
  for (auto& w : table) {
    if (file == w.file) return &w;
  }
  return nullptr;
}

// "folder-red-music-open" -> words; false when a part is in no table.
bool folder_words(const std::string& stem, Meta& m) {
  auto parts = split_words(stem, "-");
  if (parts.size() < 2 || parts[0] != "folder") return false;
  const Word* colour = look_up(kColours, parts[1]);
  bool open = parts.size() > 2 && parts.back() == "open";
  if (open) parts.pop_back();
  const Word* emblem = parts.size() == 3 ? look_up(kEmblems, parts[2]) : nullptr;
  if (!colour || parts.size() > 3 || (parts.size() == 3 && !emblem)) return false;
  std::string en = std::string(open ? "open " : "") + colour->en + " folder";
  std::string ko = std::string(open ? "열린 " : "") + colour->ko + " 폴더";
  const char* article = std::string_view("aeiou").find(en[0]) != std::string_view::npos ? "an " : "a ";
  m.caption = article + en + (emblem ? " with " + std::string(emblem->en) : "");
  m.caption_ko = (emblem ? josa(emblem->ko, "이", "가") + " 있는 " : "") + ko;
  m.tags = {"folder", colour->en};
  m.tags_ko = {"폴더"};
  return true;
}

// Letters and brand names of programs are no pictures of anything.
bool only_a_name(const std::string& stem) {
  for (const char* p : {"filetype-", "type-", "bootstrap", "alphabet", "123", "microsoft", "google", "amazon"}) {
    if (stem.rfind(p, 0) == 0) return true;
  }
  return false;
}

void find_bootstrap(const Package& package, const Sink& sink, SourceReport& report) {
  std::string root = package.tree + "/usr/share/bootstrap-icons/svg";
  for (auto& file : files_below(root, {".svg"})) {
    report.found++;
    std::string stem = file.substr(0, file.rfind('.')), path = root + "/" + file;
    if (only_a_name(stem)) {
      report.dropped["letters and brands"]++;
      continue;
    }
    Candidate c;
    c.key = "bootstrap/" + stem;
    bool filled = stem.ends_with("-fill");
    std::string words = filled ? stem.substr(0, stem.size() - 5) : stem;
    std::replace(words.begin(), words.end(), '-', ' ');  // digits are part of these names: "dice 2", "0 circle"
    c.meta.caption = words + (filled ? " filled" : "");
    c.subject = concept_of(words);  // outline and filled are one concept
    c.meta.caption_ko = korean_word(c.subject);
    c.meta.group = "icons/" + words.substr(0, words.find(' '));
    c.meta.style = "icon";
    c.meta.source = package.name + " " + package.version;
    c.meta.license = "MIT";
    c.draw = [path](int size) { return draw_file(path, size); };
    sink(std::move(c));
  }
}

void find_papirus(const Package& package, const Sink& sink, SourceReport& report) {
  std::string root = package.tree + "/usr/share/icons/Papirus/64x64/places";
  for (auto& file : files_below(root, {".svg"})) {
    report.found++;
    std::string stem = file.substr(0, file.rfind('.')), path = root + "/" + file;
    Candidate c;
    if (!folder_words(stem, c.meta)) {
      report.dropped["not a folder of a plain colour and emblem"]++;
      continue;
    }
    c.key = "papirus/" + stem;
    c.meta.group = "icons/folder";
    c.meta.style = "icon";
    c.meta.source = package.name + " " + package.version;
    c.meta.license = "GPL-3.0-only";
    c.meta.mirror_ok = false;
    c.draw = [path](int size) { return draw_file(path, size); };
    sink(std::move(c));
  }
}

}  // namespace

void find_icons(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  Package bootstrap = fetch_package("bootstrap-icons", options.cache);
  Package papirus = fetch_package("papirus-icon-theme", options.cache);
  report.packages = {bootstrap, papirus};
  report.license = "MIT (Bootstrap), GPL-3.0-only (Papirus)";
  find_bootstrap(bootstrap, sink, report);
  find_papirus(papirus, sink, report);
}

}  // namespace duet
