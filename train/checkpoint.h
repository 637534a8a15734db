// Checkpoints: a folder "step-00001234" a save, each file in it fsynced, the whole renamed into place. One is either
// complete or invisible, whenever the process or the machine stops.
//
//   ROOT/step-00001234/weights.safetensors ...   the files given
//   ROOT/step-00001234/COMPLETE                  written last: {"step": N, "files": [{"name", "size", "xxh3"}, ...]}
//   ROOT/.tmp-...                                being written or removed; clean_checkpoints() takes these away
//
// One process at a time writes to a root. Errors name the file.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/files.h"
#include "kernels/safetensors.h"

namespace duet {

// A file of a checkpoint: bytes as they are, or (image set) a safetensors file whose tensors are not copied.
struct CheckpointFile {
  std::string name;  // plain: no slash, no leading dot
  Bytes bytes = {};
  const SafetensorsImage* image = nullptr;
};

// Removes what a killed save or purge left behind. At the start of training.
void clean_checkpoints(const std::string& root);

// Saves, then removes all but the newest 'keep' complete checkpoints (never the one just saved). A checkpoint of the same
// step is replaced, atomically where the file system can exchange two names. On an error (a full disk) nothing is changed.
void save_checkpoint(const std::string& root, int64_t step, const std::vector<CheckpointFile>& files, int keep);

// Throws, naming the file and, in a safetensors file, the tensor: no marker, a missing file, a wrong size or checksum.
void verify_checkpoint(const std::string& folder);

// The folder of the newest checkpoint that verifies; for each newer one that does not, warn() gets a line that says what is
// wrong with it (by default it goes to stderr). Nothing if there is no checkpoint at all; throws if there are only bad ones.
std::optional<std::string> newest_checkpoint(const std::string& root, const std::function<void(const std::string&)>& warn = {});

// The step of "…/step-00001234".
int64_t checkpoint_step(const std::string& folder);

}  // namespace duet
