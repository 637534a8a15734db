// Unicode as captions need it: strict UTF-8, NFC, and the one cleaning that every caption gets before the tokenizer.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace duet {

// Bytes (1-4) of the well-formed UTF-8 sequence at text[at], 0 if there is none: strict as RFC 3629
// (no overlong forms, no surrogates, nothing above U+10FFFF). Needs at < text.size().
size_t utf8_sequence(std::string_view text, size_t at);

// Where the first byte is that begins no such sequence; npos: nowhere.
size_t broken_utf8(std::string_view text);

// "byte 7 (0xb0)", for messages
std::string shown_byte(std::string_view text, size_t at);

bool valid_utf8(std::string_view text);

// The first letter of a well-formed text in ASCII: "U+8D64", for where nothing else can be said.
std::string code_point(std::string_view text);

// Normalization form C; every broken byte becomes U+FFFD. Any input.
std::string nfc(std::string_view text);

// Whether a text holds Hangul (syllables or jamo), which makes it Korean for us.
bool has_hangul(std::string_view text);

// A caption as people meant it, in NFC: runs of white space become one space, ends are trimmed; controls, byte order
// marks and direction overrides vanish (joiners stay: emoji need them); broken bytes become U+FFFD; what exceeds
// max_bytes is cut between code points. Cleaning twice changes nothing.
std::string clean_caption(std::string_view text, size_t max_bytes = 2048);

}  // namespace duet
