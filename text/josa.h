// Korean particles, which follow the last sound of the word before them.
#pragma once
#include <string>
#include <string_view>

namespace duet {

bool ends_in_hangul(std::string_view word);  // in a whole syllable, as particles need to know

// word + (its last syllable ends in a consonant ? closed : open): josa("별", "이", "가") = "별이", josa("개", "이",
// "가") = "개가". The word must end in a Hangul syllable.
std::string josa(std::string_view word, std::string_view closed, std::string_view open);

}  // namespace duet
