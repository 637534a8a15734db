// Text files line by line.
#pragma once
#include <functional>
#include <string>
#include <string_view>

namespace duet {

// Calls f with each line of the file, without its end (\n or \r\n), in order; a byte order mark at the start is
// dropped.
// "-" is standard input. The bytes may be anything; a line longer than 16 MiB is refused with its number, so that
// memory stays bounded. f's view is valid during the call.
void for_each_line(const std::string& path, const std::function<void(std::string_view)>& f);

}  // namespace duet
