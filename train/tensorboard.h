// TensorBoard event files, encoded by hand: records of a protobuf "Event" in TFRecord framing
// (tensorflow/core/util/event.proto, framework/summary.proto; record = length, masked CRC-32C, bytes, masked CRC-32C).
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace duet {

uint32_t crc32c(std::string_view bytes);  // Castagnoli (RFC 3720, B.4)

// One framed record, ready to be appended to an event file. 'time' is seconds since 1970.
std::string event_version(double time);                // must be the first of a file
std::string event_restart(double time, int64_t step);  // readers drop earlier events of this step and later ones
std::string event_scalar(double time, int64_t step, std::string_view tag, float value);
std::string event_image(double time, int64_t step, std::string_view tag, int height, int width, std::string_view png);

}  // namespace duet
