// A person's own pictures: a folder, COCO captions, WebDataset tars.
#include <filesystem>
#include <map>
#include <memory>
#include <optional>

#include "fusion/cocojson.h"
#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/quote.h"
#include "text/unicode.h"
#include "train/division.h"
#include "train/sources.h"
#include "train/together.h"
#include "train/words.h"
#include "vision/codec.h"
#include "vision/dicom.h"

namespace duet {
namespace fs = std::filesystem;
namespace {

class Taker {
 public:
  Taker(const OwnOptions& options, const Together& together, Division& division, const Sink& sink, SourceReport& report)
      : limits_{.window = options.window}, together_(together), division_(division), sink_(sink), report_(report) {}

  void take(Record&& r, std::string split) {
    if (is_dicom(r.image_bytes)) return take_dicom(std::move(r), split);
    auto bytes = std::make_shared<const std::vector<uint8_t>>(std::move(r.image_bytes));
    Candidate c;
    c.key = r.key, c.held = int64_t(bytes->size());
    c.meta = std::move(r.meta);
    c.draw = [bytes, name = r.key](int) { return decode_image(*bytes, name); };
    give(std::move(c), split, "");
  }

  void fault(const std::string& file, const std::string& reason, const std::string& detail) {
    report_.found++;
    leave_out(report_, reason, file + (detail.empty() ? "" : ": " + detail));
  }

 private:
  // patient: by what DICOM says of it; "" of other pictures
  void give(Candidate&& c, const std::string& split, const std::string& patient) {
    report_.found++;
    if (c.meta.unit.empty()) report_.asked++, c.meta.unit = together_(c.key), report_.matched += !c.meta.unit.empty();
    if (c.meta.unit.empty() && patient.empty() && c.meta.group.find('/') != std::string::npos)
      if (report_.nested++ == 0) report_.nested_in = c.meta.group;
    std::string one = c.meta.unit.empty() ? c.key : c.meta.unit;  // decides, whatever else is in the folder
    if (c.meta.unit.empty() && !patient.empty()) {
      one = patient;
      c.meta.unit = "patient-" + std::to_string(patients_.emplace(patient, patients_.size() + 1).first->second);
    }
    if (!sink_) {
      if (split.empty()) division_.add(c.meta.group.substr(0, c.meta.group.find('/')), one);
      return;
    }
    c.split = !split.empty() ? split : division_.split_of(one);
    sink_(std::move(c));
  }

  // Each frame is a picture. Those of one patient belong together; what is written of a patient is a number of its own here.
  void take_dicom(Record&& r, const std::string& split) {
    DicomHead head;
    try {
      head = read_dicom_head(r.image_bytes, r.key);
    } catch (const Error& e) {
      report_.found++;
      return leave_out(report_, "not readable", e.what());
    }
    auto bytes = std::make_shared<const std::vector<uint8_t>>(std::move(r.image_bytes));
    report_.nameless += !head.names_patient;
    report_.burned_in += head.burned_in ? head.frames : 0;
    for (int f = 0; f < head.frames; ++f) {
      Candidate c;
      c.held = f ? 0 : int64_t(bytes->size());
      c.key = head.frames == 1 ? r.key : r.key + "-frame-" + std::to_string(f + 1);
      c.meta = r.meta;
      c.draw = [bytes, name = c.key, limits = limits_, f](int) { return decode_dicom(*bytes, name, limits, f); };
      give(std::move(c), split, head.patient ? hex64(head.patient) : r.key);
    }
  }

  Limits limits_;
  std::map<std::string, size_t> patients_;  // their numbers
  const Together& together_;
  Division& division_;
  const Sink& sink_;  // none: the division is told what there is
  SourceReport& report_;
};

Record to_record(ShardSample&& s) {
  Record r{s.key, {}, {}};
  for (auto& [extension, bytes] : s.parts) {
    std::string e = extension.substr(extension.rfind('.') == extension.npos ? 0 : extension.rfind('.') + 1);
    if (e == "png" || e == "jpg" || e == "jpeg" || e == "webp" || e == "dcm") r.image_bytes = std::move(bytes);
    else if (e == "json") r.meta = parse_meta(bytes, s.key + ".json");
    else if (e == "txt" && !r.meta.has_text()) r.meta.say_file(as_text(bytes));
  }
  if (r.image_bytes.empty()) refuse("no picture in it");
  return r;
}

void take_tars(const std::string& path, const std::string& split, Taker& taker) {
  for (auto& tar : list_shards(path)) {
    auto bad = [&](const std::string& key, const std::string& why) { taker.fault(tar + ": " + key, why, ""); };
    read_shard(
        tar,
        [&](ShardSample&& s) {
          const std::string name = tar + ": " + s.key;
          for (const auto& [extension, bytes] : s.parts)
            if (const size_t at = extension == "txt" ? broken_utf8(as_text(bytes)) : std::string::npos; at != std::string::npos)
              return taker.fault(name, "caption is not UTF-8",
                                 shown_byte(as_text(bytes), at) + " of its .txt; convert it with iconv");
          try {
            taker.take(to_record(std::move(s)), split);
          } catch (const Error& e) {
            taker.fault(name, "not readable", e.what());
          }
        },
        bad);
  }
}

bool has_tars(const fs::path& folder) {
  std::error_code failed;
  for (auto& e : fs::directory_iterator(folder, failed)) {
    if (e.path().extension() == ".tar") return true;
  }
  return false;
}

void walk(const std::string& path, const OwnOptions& options, const Together& together, Taker& taker) {
  auto each = [&](Record&& r) { taker.take(std::move(r), ""); };
  auto bad = [&](const std::string& file, const std::string& why, const std::string& more) { taker.fault(file, why, more); };

  size_t colon = path.find(".json:");
  std::string json = path.substr(0, colon == path.npos ? path.npos : colon + 5);
  if (fs::is_regular_file(json) && json.ends_with(".json")) {
    std::string folder = colon == path.npos ? fs::path(json).parent_path().string() : path.substr(colon + 6);
    return read_coco(json, folder.empty() ? "." : folder, each, bad);
  }
  if (path.ends_with(".tar")) return take_tars(path, "", taker);
  if (!fs::is_directory(path))
    refuse("unknown source '", path, "': neither a built-in one nor a folder, a .tar or a COCO .json");
  bool split_already = false;
  for (const char* split : {"train", "val", "heldout", "pairs"}) {
    if (!has_tars(fs::path(path) / split)) continue;
    take_tars((fs::path(path) / split).string(), split, taker);
    split_already = true;
  }
  if (split_already) return;
  if (has_tars(path)) return take_tars(path, "", taker);
  read_folder(path, each, bad, options.folder_captions, [&](const std::string& name) { return !together(name).empty(); });
}

}  // namespace

void find_own(const std::string& path, const OwnOptions& options, const Sink& sink, SourceReport& report) {
  report.license = "as given";
  const Together together(options.together);
  Division division(options.val, options.heldout);
  if (options.stratify) {
    SourceReport unsaid;
    const Sink none;
    Taker counting(options, together, division, none, unsaid);
    walk(path, options, together, counting);
    division.settle();
  }
  Taker taker(options, together, division, sink, report);
  walk(path, options, together, taker);
}

}  // namespace duet
