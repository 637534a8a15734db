// Shards: pictures with captions as WebDataset tars (https://github.com/webdataset/webdataset): the files of one sample
// lie side by side and share the path up to the first dot of the file name. `a/cat.0.png` has key `a/cat`, extension `0.png`.
//   DIR/{train,val,heldout,pairs}/000000.tar    what `duet data build` writes and Dataset::open reads
//   KEY.png|jpg|jpeg|webp                     the picture
//   KEY.json                                  Meta below;  KEY.txt alone: a caption, see Meta::say
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace duet {

// ---- tar ----

struct ShardSample {
  std::string key;
  std::map<std::string, std::vector<uint8_t>> parts;  // lower-case extension -> bytes
};

struct ShardView {  // the same, pointing into the bytes of the tar
  std::string key;
  std::map<std::string, std::span<const uint8_t>> parts;
  std::string fault;  // why this sample cannot be used (two files of one extension, a file over the cap ...); empty when sound
};

struct ShardLimits {
  int64_t entries = 4'000'000;        // files in one tar
  int64_t entry_bytes = 256ll << 20;  // bytes of one file
};

// Every sample of a tar in memory, in order. Refuses (Error naming the tar and the byte) what is no tar, is cut short or
// has too many files; a sample at fault is returned with its fault. The views live as long as `tar`.
std::vector<ShardView> index_shard(std::span<const uint8_t> tar, const std::string& name, const ShardLimits& limits = {});

// Reads one tar file and gives each sound sample to `each`, each fault to `bad` (where given).
void read_shard(const std::string& path, const std::function<void(ShardSample&&)>& each,
                const std::function<void(const std::string& key, const std::string& fault)>& bad = {});

// DIR -> its *.tar in order of name; `a/{000000..000042}.tar` and `a/{x,y}.tar` -> each; a file -> itself.
// Refuses a file that is not there, and an empty answer.
std::vector<std::string> list_shards(const std::string& path);

// Writes DIR/PREFIX000000.tar, DIR/PREFIX000001.tar ...: the same samples give the same bytes (no time, no owner).
// A tar appears under its name only when it is whole; an unfinished one is removed.
class ShardWriter {
 public:
  ShardWriter(std::string dir, std::string prefix, int64_t max_samples_per_shard);
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;
  void add(const ShardSample&);  // refuses a key that would not read back as itself
  void finish();                 // closes the last tar; add() may not follow
  int64_t samples() const { return samples_; }
  const std::vector<std::string>& files() const { return files_; }

 private:
  void open();
  void close();
  std::string dir_, prefix_;
  int64_t max_ = 0, samples_ = 0, in_shard_ = 0;
  std::vector<std::string> files_;
  std::string part_;         // the unfinished file
  void* archive_ = nullptr;  // struct archive
};

// ---- what is known of a picture ----

struct Meta {
  std::string caption, caption_ko;                 // UTF-8, may be empty
  std::vector<std::string> captions, captions_ko;  // further wordings
  std::vector<std::string> tags, tags_ko;          // keywords
  std::string source, license, group, style;       // package or address; SPDX or plain words; category; look (emoji, photo ...)
  std::string style_ko;                            // the look in Korean
  std::string subject;                             // JSON key "concept": what pictures of one thing in many styles share
  std::string unit;                                // what is one case with others, such as a patient's name or number
  std::string scene;                               // the exact scene as JSON text (vision/scene.h); empty when unknown
  int64_t coco_id = -1;                            // the picture's id in the COCO file it came from; -1: none
  bool mirror_ok = true;                           // false: a mirrored picture would be wrong (letters, flags ...)
  void say(std::string words);                     // one more plain caption, UTF-8: Korean where it holds Hangul, else English
  void say_file(std::string_view text);  // of a text file: as say(), or where only some lines hold Hangul both languages'
  bool has_text() const;                 // any caption or tag in any language
};

// One JSON object, at most 1 MiB; unknown keys are passed over, a known key of another type is refused.
Meta parse_meta(std::span<const uint8_t> bytes, const std::string& name);
std::string dump_meta(const Meta&);  // the JSON that parse_meta reads back; empty fields are left out

// "a cat" + "emoji" -> "a cat, emoji": how the loader words a style and how a prompt asks for one.
std::string with_style(const std::string& caption, const std::string& style);

// ---- data sets ----

struct Record {
  std::string key;
  std::vector<uint8_t> image_bytes;  // as stored: PNG, JPEG or WebP
  Meta meta;
};

bool has_split(const std::string& dir, const std::string& split);  // whether DIR/SPLIT holds a tar

ShardSample to_sample(const Record&);  // parts `png|jpg|webp` (by signature) and `json`

// How the split was asked for: by a verb's --split (to judge or to look: val is proposed first, as training pictures flatter),
// by a config's data.split (train first), or there is no choice.
enum class SplitBy { verb, config, nothing };

// All samples of one split, mapped into memory, not decoded. Copying is cheap; reading from many threads is safe.
class Dataset {
 public:
  struct Fault {
    std::string sample, reason;
  };
  // Reads DIR/SPLIT/*.tar (split: train, val, heldout, pairs; "" reads DIR/*.tar). Refuses a missing or broken tar; of a
  // split that is empty it says which others are not, and how to ask for one.
  static Dataset open(const std::string& dir, const std::string& split, SplitBy = SplitBy::verb);

  int64_t size() const;  // sound samples: one picture and its metadata each
  const std::string& key(int64_t i) const;
  std::span<const uint8_t> image(int64_t i) const;  // lives as long as any copy of this Dataset
  Meta meta(int64_t i) const;                       // throws Error when its JSON is broken or its text is not UTF-8
  std::string name(int64_t i) const;                // "train/000000.tar: key", for messages
  Record record(int64_t i) const;
  const std::vector<Fault>& faults() const;  // samples left out, with the reason

 private:
  struct Index;
  std::shared_ptr<const Index> index_;
};

}  // namespace duet
