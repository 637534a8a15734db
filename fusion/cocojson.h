// A user's own pictures as Records: COCO captions JSON beside a folder, or a folder alone.
#pragma once
#include <functional>
#include <string>

#include "fusion/shards.h"

namespace duet {

using EachRecord = std::function<void(Record&&)>;
// A file that is left out: why, in words to count by, and what there is to say of it alone ("": nothing more).
using EachFault = std::function<void(const std::string& file, const std::string& reason, const std::string& detail)>;

// COCO captions (https://cocodataset.org/#format-data): {"images":[{"id","file_name"}],
// "annotations":[{"image_id","caption"}]}. The first caption of a picture is `caption`, the others `captions`. In order of the
// `images` list. A picture that is missing, too large or outside `folder` goes to `bad`. Refuses a file that is not such JSON.
void read_coco(const std::string& json, const std::string& folder, const EachRecord& each, const EachFault& bad);

// A folder of pictures, walked in order of path. The words of a picture come from the folder's metadata.jsonl (one object
// a line: `file_name` and the keys of Meta, or `text`), else from KEY.json or KEY.txt (UTF-8) beside it, else it goes to
// `bad`, as pictures in formats that are not read do. Without a `group` of its own a picture's is the folder it lies in.
// Of DICOM it is the first folder of its path: those below are patients, studies and series, whose names are nobody's words.
// folder_captions: a picture without words gets the name of its folder, _ and - as spaces.
// no_word: folders that are no category and no caption, such as a patient's within that of a class.
void read_folder(const std::string& folder, const EachRecord& each, const EachFault& bad, bool folder_captions = false,
                 const std::function<bool(const std::string& name)>& no_word = {});

}  // namespace duet
