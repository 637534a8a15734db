// A user's own pictures as Records: COCO captions JSON beside a folder, or a folder alone.
#pragma once
#include <functional>
#include <string>

#include "fusion/shards.h"

namespace duet {

using EachRecord = std::function<void(Record&&)>;
using EachFault = std::function<void(const std::string& file, const std::string& reason)>;

// COCO captions (https://cocodataset.org/#format-data): {"images":[{"id","file_name"}], "annotations":[{"image_id","caption"}]}.
// The first caption of a picture is `caption`, the others `captions`. In order of the `images` list. A picture that is
// missing, too large or outside `folder` goes to `bad`. Refuses a file that is not such JSON.
void read_coco(const std::string& json, const std::string& folder, const EachRecord& each, const EachFault& bad);

// A folder of pictures, walked in order of path. The words of a picture come from the folder's metadata.jsonl (one object
// a line: `file_name` and the keys of Meta, or `text`), else from KEY.json or KEY.txt beside it, else it goes to `bad`.
void read_folder(const std::string& folder, const EachRecord& each, const EachFault& bad);

}  // namespace duet
