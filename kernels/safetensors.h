// The weights file: safetensors (https://huggingface.co/docs/safetensors, "Format"), read strictly and written atomically.
//   8 bytes   N, the header's length, little-endian
//   N bytes   JSON {"NAME": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, "__metadata__": {..}}, space padded
//   the rest  the tensors' bytes, row-major, little-endian, without holes or overlaps
// Files written here carry checksums in __metadata__: "xxh3:NAME" = XXH3-64 of that tensor's bytes, and "xxh3" = that of
// everything else in the header, so that one flipped bit anywhere is found and, in data, named by tensor.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/files.h"

namespace duet {

// Bits of one element ("F32" -> 32, "BOOL" -> 8, "F4" -> 4); 0 for a name the format does not know.
int dtype_bits(std::string_view dtype);

struct TensorView {
  std::string dtype;
  std::vector<int64_t> shape;
  Bytes bytes;  // inside the file; aligned to the element in files written here, to nothing in others: copy to be safe
};

enum class Verify { no, yes };

// Cheap to copy. Views live as long as the object or a copy of it (open), or as the parsed bytes (parse).
class Safetensors {
 public:
  // Maps the file read-only. Refuses whatever breaks the format or, with Verify::yes, a checksum that the file carries.
  static Safetensors open(const std::string& path, Verify verify = Verify::yes);
  // The same on bytes in memory; name is what error lines call them.
  static Safetensors parse(Bytes bytes, const std::string& name, Verify verify = Verify::yes);

  const std::string& name() const { return name_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // without the checksums
  const TensorView& at(const std::string& tensor) const;                            // refuses a missing name, naming the file
  bool has_checksums() const { return !sums_.empty(); }
  void verify() const;  // recomputes every checksum the file carries; refuses naming the tensor

 private:
  std::shared_ptr<const Mapped> map_;
  std::string name_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_, sums_;
};

struct TensorOut {
  std::string name, dtype;
  std::vector<int64_t> shape;
  Bytes bytes;  // row-major, little-endian; must outlive the writing
};

// A file about to be written: the header, and the pieces in file order (the first is the header; no tensor is copied).
struct SafetensorsImage {
  std::string header;
  std::vector<Bytes> tensors;
  std::vector<Bytes> parts() const&;  // they point into this object
  std::vector<Bytes> parts() const&& = delete;
};

// The same input gives the same bytes. Widest dtypes come first, then by name, so that every tensor is aligned.
SafetensorsImage safetensors_image(const std::vector<TensorOut>& tensors, const std::map<std::string, std::string>& metadata);

// Atomic and durable (write_file). Refuses a full disk; the old file then stays as it was.
void write_safetensors(const std::string& path, const std::vector<TensorOut>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace duet
