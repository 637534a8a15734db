// Icon themes of desktops: Oxygen, Breeze and Papirus draw the same named things, each in its own way. The names
// (https://specifications.freedesktop.org/icon-naming-spec) become captions by a table in both languages; what is in no
// row (programs, file types, actions of a menu) says nothing of the picture and is left out.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "train/sources.h"
#include "train/words.h"

namespace duet {
namespace {

// NAME=ENGLISH=KOREAN, a line each.
constexpr std::string_view kNames = R"(
audio-card=a sound card=사운드 카드
audio-headphones=headphones=헤드폰
audio-headset=a headset=헤드셋
audio-input-microphone=a microphone=마이크
call-start=a telephone receiver with a green mark=초록색 표시가 있는 수화기
camera-photo=a camera=카메라
camera-video=a video camera=비디오카메라
camera-web=a webcam=웹캠
chronometer=a stopwatch=초시계
computer=a computer=컴퓨터
computer-laptop=a laptop=노트북 컴퓨터
cpu=a computer chip=컴퓨터 칩
dialog-error=an error sign=오류 표시
dialog-information=an information sign=정보 표시
dialog-question=a question mark=물음표
dialog-warning=a warning sign=경고 표시
drink-beer=a beer=맥주
drink-martini=a cocktail=칵테일
drive-harddisk=a hard disk=하드 디스크
drive-optical=a disc drive=디스크 드라이브
drive-removable-media-usb-pendrive=a USB stick=유에스비 메모리
edit-bomb=a bomb=폭탄
edit-find=binoculars=쌍안경
face-angel=an angel face=천사 얼굴
face-angry=an angry face=화난 얼굴
face-clown=a clown face=광대 얼굴
face-cool=a face with sunglasses=선글라스를 쓴 얼굴
face-crying=a crying face=우는 얼굴
face-devilish=a devil face=악마 얼굴
face-embarrassed=an embarrassed face=당황한 얼굴
face-glasses=a face with glasses=안경을 쓴 얼굴
face-in-love=a face in love=사랑에 빠진 얼굴
face-kiss=a kissing face=뽀뽀하는 얼굴
face-laugh=a laughing face=웃는 얼굴
face-laughing=a laughing face=웃는 얼굴
face-ninja=a ninja face=닌자 얼굴
face-pirate=a pirate face=해적 얼굴
face-plain=a neutral face=무표정한 얼굴
face-raspberry=a face with tongue out=혀를 내민 얼굴
face-sad=a sad face=슬픈 얼굴
face-sick=a sick face=아픈 얼굴
face-sleeping=a sleeping face=자는 얼굴
face-smile=a smiling face=미소 짓는 얼굴
face-smile-big=a happy face=활짝 웃는 얼굴
face-smirk=a smirking face=히죽거리는 얼굴
face-surprise=a surprised face=놀란 얼굴
face-uncertain=an uncertain face=불확실한 얼굴
face-wink=a winking face=윙크하는 얼굴
face-worried=a worried face=걱정하는 얼굴
face-yawn=a yawning face=하품하는 얼굴
folder=a folder=폴더
folder-black=a black folder=검은 폴더
folder-blue=a blue folder=파란 폴더
folder-brown=a brown folder=갈색 폴더
folder-cyan=a cyan folder=하늘색 폴더
folder-green=a green folder=초록색 폴더
folder-grey=a grey folder=회색 폴더
folder-magenta=a magenta folder=자홍색 폴더
folder-orange=an orange folder=주황색 폴더
folder-red=a red folder=빨간 폴더
folder-violet=a purple folder=보라색 폴더
folder-yellow=a yellow folder=노란 폴더
food-cake=a cake=케이크
input-gaming=a game controller=게임 패드
input-keyboard=a keyboard=키보드
input-mouse=a computer mouse=컴퓨터 마우스
input-tablet=a graphics tablet=그래픽 태블릿
input-touchpad=a touchpad=터치패드
input-tvremote=a remote control=리모컨
mail-message=an envelope=편지 봉투
media-flash=a memory card=메모리 카드
media-flash-sd-mmc=an SD card=에스디 카드
media-floppy=a floppy disk=플로피 디스크
media-optical=a disc=디스크
media-optical-audio=an audio disc=음악 디스크
media-optical-blu-ray=a Blu-ray disc=블루레이 디스크
media-optical-video=a video disc=비디오 디스크
media-tape=a tape cassette=테이프 카세트
microphone=a microphone=마이크
modem=a modem=모뎀
multimedia-player=a music player=음악 재생기
network-server=a server=서버
network-wireless=a wireless network sign=무선 네트워크 표시
pda=a handheld computer=손바닥 컴퓨터
phone=a mobile phone=휴대 전화
printer=a printer=프린터
printer-laser=a laser printer=레이저 프린터
scanner=a scanner=스캐너
security-high=a shield with a check mark=체크 표시가 있는 방패
smartphone=a smartphone=스마트폰
system-lock-screen=a padlock=자물쇠
system-shutdown=a power button=전원 버튼
tablet=a tablet computer=태블릿 컴퓨터
tools-report-bug=a bug=벌레
tools-wizard=a magic wand=마술 지팡이
user-desktop=a desktop screen=바탕 화면
user-home=a house=집
user-trash=an empty trash can=빈 쓰레기통
user-trash-full=a full trash can=가득 찬 쓰레기통
video-display=a monitor=모니터
video-projector=a projector=프로젝터
video-television=a television=텔레비전
weather-clear=the sun=해
weather-clear-night=the moon=달
weather-clouds=the sun behind clouds=구름 뒤의 해
weather-clouds-night=the moon behind clouds=구름 뒤의 달
weather-few-clouds=the sun with a small cloud=작은 구름과 해
weather-few-clouds-night=the moon with a small cloud=작은 구름과 달
weather-fog=fog=안개
weather-hail=a cloud with hail=우박 구름
weather-many-clouds=clouds=구름
weather-mist=mist=옅은 안개
weather-overcast=clouds=구름
weather-showers=a rain cloud=비구름
weather-showers-day=the sun and a rain cloud=해와 비구름
weather-showers-night=the moon and a rain cloud=달과 비구름
weather-snow=a snow cloud=눈구름
weather-snow-rain=a cloud with snow and rain=눈비 구름
weather-storm=a thundercloud=번개 구름
weather-storm-day=the sun and a thundercloud=해와 번개 구름
weather-storm-night=the moon and a thundercloud=달과 번개 구름)";

struct Name {
  std::string en, ko;
};

const std::map<std::string, Name, std::less<>>& names() {
  static const auto all = [] {
    std::map<std::string, Name, std::less<>> m;
    for (auto& line : split_words(kNames, "\n")) {
      auto cells = split_words(line, "=");
      m[cells.at(0)] = {cells.at(1), cells.at(2)};
    }
    return m;
  }();
  return all;
}

struct Theme {
  const char *package, *folder, *license, *style;
  std::vector<const char*> parts;  // the best size of each kind first: a name is taken once
};

const std::vector<Theme>& themes() {
  static const std::vector<Theme> all = {
      {"oxygen-icon-theme",
       "usr/share/icons/oxygen/base",
       "LGPL-3.0-or-later",
       "glossy icon",
       {"128x128/devices", "128x128/status", "128x128/places", "128x128/emotes", "128x128/actions", "64x64/devices",
        "64x64/status", "64x64/places", "64x64/emotes", "64x64/actions"}},
      {"breeze-icon-theme",
       "usr/share/icons/breeze",
       "LGPL-3.0-or-later",
       "flat icon",
       {"devices/64", "status/64", "places/64", "emotes/22", "status/32"}},
      {"papirus-icon-theme", "usr/share/icons/Papirus/64x64", "GPL-3.0-only", "icon", {"devices", "status", "places"}},
  };
  return all;
}

// Papirus' coloured folders come with more words from the source `icons`.
bool elsewhere(const Theme& theme, const std::string& stem) {
  return std::string_view(theme.package).starts_with("papirus") && stem.starts_with("folder-");
}

void find_theme(const Theme& theme, const Package& package, const Sink& sink, SourceReport& report) {
  std::set<std::string> taken;
  for (const char* part : theme.parts) {
    std::string root = package.tree + "/" + theme.folder + "/" + part;
    std::error_code none;
    if (!std::filesystem::is_directory(root, none)) continue;
    for (auto& file : files_below(root, {".png", ".svg"})) {
      std::string stem = file.substr(0, file.rfind('.'));
      report.found++;
      auto known = names().find(stem);
      if (known == names().end() || elsewhere(theme, stem)) {
        report.dropped["no plain thing by its name"]++;
        continue;
      }
      if (!taken.insert(stem).second) {
        report.dropped["smaller sizes"]++;
        continue;
      }
      Candidate c;
      c.key = std::string(theme.package) + "/" + stem;
      c.meta.caption = known->second.en;
      c.meta.caption_ko = known->second.ko;
      c.meta.group = "icons/" + stem.substr(0, stem.find('-'));
      c.meta.style = theme.style;
      c.meta.source = package.name + " " + package.version;
      c.meta.license = theme.license;
      c.draw = [path = root + "/" + file](int size) { return draw_file(path, size); };
      sink(std::move(c));
    }
  }
}

}  // namespace

void find_themes(const SourceOptions& options, const Sink& sink, SourceReport& report) {
  report.license = "LGPL-3.0-or-later (Oxygen, Breeze), GPL-3.0-only (Papirus)";
  for (auto& theme : themes()) report.packages.push_back(fetch_package(theme.package, options.cache));
  for (size_t i = 0; i < themes().size(); i++) find_theme(themes()[i], report.packages[i], sink, report);
}

}  // namespace duet
