// First come, first served within a client; clients take turns.
#pragma once
#include <cstddef>
#include <deque>
#include <list>
#include <optional>
#include <string>
#include <utility>

namespace duet {

template <class T>
class FairQueue {
 public:
  void push(const std::string& client, T item) {
    ++size_;
    for (auto& [name, items] : lines_)
      if (name == client) return items.push_back(std::move(item));
    lines_.emplace_back(client, std::deque<T>{}).second.push_back(std::move(item));
  }

  // The next item in turn if `fits` says so of it; then it is the next client's turn.
  template <class F>
  std::optional<T> pop_if(F fits) {
    if (lines_.empty() || !fits(lines_.front().second.front())) return std::nullopt;
    auto& items = lines_.front().second;
    std::optional<T> item = std::move(items.front());
    items.pop_front(), --size_;
    if (items.empty()) lines_.pop_front();
    else lines_.splice(lines_.end(), lines_, lines_.begin());
    return item;
  }

  template <class F>
  void remove_if(F gone) {
    for (auto line = lines_.begin(); line != lines_.end();) {
      size_ -= std::erase_if(line->second, gone);
      line = line->second.empty() ? lines_.erase(line) : std::next(line);
    }
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::list<std::pair<std::string, std::deque<T>>> lines_;  // whose turn it is comes first; none is empty
  size_t size_ = 0;
};

}  // namespace duet
