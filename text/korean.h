// Messages for people, said in Korean. Where a message arises it is made in English, clause by clause with "; " between
// ("a.png: the file is empty; copy it again"); what a person will read is turned here, by a table of clauses.
// Logs, and what other programs read (error codes, names of parameters), stay English.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "text/koreanmessages.h"

namespace duet {

// The whole message; none where a clause is not in the table.
std::optional<std::string> korean_of(std::string_view message);
// The clauses that the table has; the others as they are.
std::string in_korean(std::string_view message);
// The Korean of one row; none where the message is not of its form.
std::optional<std::string> korean_by(const KoreanMessage& row, std::string_view message);

// Whether the terminal speaks Korean: the first of LC_ALL, LC_MESSAGES and LANG that is set (POSIX, 8.2) is "ko" and
// some place, in UTF-8 where it names a codeset.
bool korean_terminal();
// Prints "duet: message" on standard error, in the terminal's language.
void say(const std::string& message);
// Whether an Accept-Language header (RFC 9110, 12.5.4) likes Korean better than English; of equals the first.
bool prefers_korean(std::string_view accept_language);

}  // namespace duet
