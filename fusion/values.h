// What a config text says, before it is matched with a struct: the common ground of TOML and JSON.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace duet {

struct Value {
  using List = std::vector<Value>;
  struct Table {
    std::vector<std::string> keys;  // unique
    std::vector<Value> values;      // one a key
  };
  std::variant<std::monostate, bool, int64_t, double, std::string, List, Table> is;  // monostate: a date, a null
  int line = 0;                                                                      // from 1; 0 where not known
};

// The top table. Refuses, with name and line, what is not TOML; more than 1 MB; more than 4096 dots in all (a dotted key
// nests one table a dot, and a million of them would exhaust the stack).
Value read_toml(std::string_view text, const std::string& name);

// The top object. Refuses what is not JSON, a key given twice, more than 16 MB.
Value read_json(std::string_view text, const std::string& name);

}  // namespace duet
