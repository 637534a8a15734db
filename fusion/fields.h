// Config structs: every field named once, read and written everywhere.
//
//   struct Adam { float lr = 1e-3f; template <class V> void fields(V&& v) { v("lr", lr); } };
//   struct Train {
//     int64_t steps = 1000; Adam adam;
//     template <class V> void fields(V&& v) { v("steps", steps); v("adam", adam); }
//   };
//
// Types: bool, int, int64_t, float, double, std::string, vectors of these, nested structs, vectors of structs (an array of
// tables). A key that is absent keeps the value it had; a list that is given replaces the old one. Everything else is
// refused with one line naming the file, the line (TOML), the key and what was expected: an unknown key (with the nearest
// known one), a wrong type, a number that does not fit, nan and inf.
#pragma once
#include <concepts>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace duet {

struct Field;
using Fields = std::vector<Field>;

// A vector of structs, seen through functions so that its type stays in the caller.
struct FieldList {
  std::function<size_t()> size;
  std::function<void(size_t)> reset;  // that many new elements, each with its defaults
  std::function<Fields(size_t)> at;
};

// Where one value lives: a plain value, a list of plain values, a nested struct, a vector of structs.
struct Field {
  std::string name;
  std::variant<bool*, int*, int64_t*, float*, double*, std::string*, std::vector<bool>*, std::vector<int>*,
               std::vector<int64_t>*, std::vector<float>*, std::vector<double>*, std::vector<std::string>*, Fields, FieldList>
      at;
};

// A view of cfg by names and pointers; valid while cfg lives and its vectors of structs are not resized.
template <class Config>
Fields fields_of(Config& cfg);

void load_toml(const std::string& path, const Fields& fields);  // at most 1 MB
void parse_toml(std::string_view text, const std::string& name, const Fields& fields);
// "optimizer.lr=0.001"; the value is TOML, and for a string field also plain words; "data.0.path=x" reaches into a list.
void set_key(const Fields& fields, std::string_view assignment);
void from_json(std::string_view text, const std::string& name, const Fields& fields);
std::string to_toml(const Fields& fields);  // all keys, readable by parse_toml
std::string to_json(const Fields& fields);  // all keys, readable by from_json

template <class C>
concept HasFields = requires(C& c) {
  c.fields([](const char*, auto&) {});
};

template <HasFields C>
void load_toml(const std::string& path, C& cfg) {
  load_toml(path, fields_of(cfg));
}
template <HasFields C>
void parse_toml(std::string_view text, const std::string& name, C& cfg) {
  parse_toml(text, name, fields_of(cfg));
}
template <HasFields C>
void set_key(C& cfg, std::string_view assignment) {
  set_key(fields_of(cfg), assignment);
}
template <HasFields C>
void from_json(std::string_view text, const std::string& name, C& cfg) {
  from_json(text, name, fields_of(cfg));
}
// Writing only reads through the pointers, so a const config may lend them.
template <HasFields C>
std::string to_toml(const C& cfg) {
  return to_toml(fields_of(const_cast<C&>(cfg)));
}
template <HasFields C>
std::string to_json(const C& cfg) {
  return to_json(fields_of(const_cast<C&>(cfg)));
}

namespace detail {

template <class T>
struct ListItem {};
template <class T>
struct ListItem<std::vector<T>> {
  using type = T;
};
template <class T>
concept StructList = requires {
  requires HasFields<typename ListItem<T>::type>;
};

}  // namespace detail

template <class C>
Fields fields_of(C& cfg) {
  Fields out;
  cfg.fields([&out]<class T>(const char* name, T& value) {
    if constexpr (HasFields<T>) {
      out.push_back({name, fields_of(value)});
    } else if constexpr (detail::StructList<T>) {
      out.push_back({name, FieldList{[&value] { return value.size(); }, [&value](size_t n) { value.clear(), value.resize(n); },
                                     [&value](size_t i) { return fields_of(value[i]); }}});
    } else {
      static_assert(
          requires {
            Field{name, &value};
          },
          "a config field is a bool, int, int64_t, float, double, string, a vector of these, a struct with "
          "fields(), or a vector of such structs");
      out.push_back({name, &value});
    }
  });
  return out;
}

}  // namespace duet
