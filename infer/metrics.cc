#include "infer/metrics.h"

#include <fmt/format.h>

namespace duet {

void Metrics::count(const std::string& route, int status, double seconds) {
  std::lock_guard l(mutex_);
  ++requests_[{route, status}];
  Times& t = times_[route];
  size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  ++t.in[i], t.sum += seconds;
}

std::string Metrics::text(const EngineStats& e) const {
  std::string s;
  const auto value = [&](const char* name, const char* type, const char* help, double v) {
    s += fmt::format("# HELP duet_{0} {2}\n# TYPE duet_{0} {1}\nduet_{0} {3}\n", name, type, help, v);
  };
  value("queue_waiting", "gauge", "Pictures and reading tasks that wait", double(e.waiting));
  value("pictures_in_batch", "gauge", "Pictures that are being drawn together", double(e.drawing));
  value("reading_runs", "gauge", "Caption runs under way", double(e.reading));
  value("pictures_total", "counter", "Pictures drawn", double(e.pictures));
  value("read_total", "counter", "Captions, classes and embeddings tasks done", double(e.read));
  value("passes_total", "counter", "Passes of the model over a batch of pictures", double(e.passes));
  value("evaluations_total", "counter", "Steps of single pictures in those passes", double(e.evaluations));
  value("cancelled_total", "counter", "Tasks cancelled", double(e.cancelled));
  value("late_total", "counter", "Tasks past their deadline", double(e.late));
  value("turned_away_total", "counter", "Tasks refused because the queue was full", double(e.turned_away));
  value("engine_busy_seconds_total", "counter", "Time in the model", e.busy);
  std::lock_guard l(mutex_);
  s += "# HELP duet_requests_total Requests by route and status; 0: the client left\n# TYPE duet_requests_total "
       "counter\n";
  for (const auto& [key, n] : requests_)
    s += fmt::format("duet_requests_total{{route=\"{}\",status=\"{}\"}} {}\n", key.first, key.second, n);
  s += "# HELP duet_request_seconds Time from the request's head to its answer\n# TYPE duet_request_seconds histogram\n";
  for (const auto& [route, t] : times_) {
    int64_t sum = 0;
    for (size_t i = 0; i < kBounds.size(); ++i)
      s += fmt::format("duet_request_seconds_bucket{{route=\"{}\",le=\"{}\"}} {}\n", route, kBounds[i], sum += t.in[i]);
    sum += t.in.back();
    s += fmt::format(
        "duet_request_seconds_bucket{{route=\"{0}\",le=\"+Inf\"}} {1}\nduet_request_seconds_sum{{route=\"{0}\"}} {2}\n"
        "duet_request_seconds_count{{route=\"{0}\"}} {1}\n",
        route, sum, t.sum);
  }
  return s;
}

}  // namespace duet
