#include "infer/engine.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <map>
#include <set>

#include "kernels/error.h"

namespace duet {

struct Job::State {
  Task task;
  std::string client;
  Clock::time_point deadline;
  std::atomic<bool> cancelled{false};
  bool ended = false;  // of the engine thread
  size_t left = 0;     // pictures not drawn yet; of the engine thread

  // Of a picture that is the best of several drawings; places are those of the task's `pictures`.
  struct Choice {
    size_t left;                                // drawings that are not given up
    size_t likeliest;                           // place of the one that previews show; before any is given up the first
    std::map<size_t, std::vector<float>> done;  // pixels by place
  };
  std::map<size_t, Choice> choices;  // by picture, from its first drawing's start to its end; of the engine thread

  std::mutex mutex;  // of what follows
  std::condition_variable wake;
  std::deque<Event> events;
};

Event Job::next() {
  std::unique_lock l(state_->mutex);
  // The engine says so too, but after the pass that it is in.
  if (!state_->wake.wait_until(l, state_->deadline, [&] { return !state_->events.empty(); })) return {.kind = Event::late};
  Event e = std::move(state_->events.front());
  state_->events.pop_front();
  return e;
}

void Job::cancel() { state_->cancelled = true; }

Engine::Engine(const Model& m, const Tokenizer& t, const EngineLimits& limits)
    : model_(m), tokenizer_(t), limits_(limits), batch_(m, t), thread_([this] { loop(); }) {}

Engine::~Engine() {
  {
    std::lock_guard l(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

namespace {

// Pictures of a drawing, or one: the places that a task takes in the queue.
size_t places(const Task& task) {
  const auto* draw = std::get_if<DrawTask>(&task);
  return draw ? draw->pictures.size() : 1;
}

bool is_drawing(const Task& task) { return std::holds_alternative<DrawTask>(task); }

}  // namespace

std::unique_ptr<Job> Engine::submit(Task task, const std::string& client, Clock::time_point deadline) {
  auto s = std::make_shared<Job::State>();
  s->task = std::move(task), s->client = client, s->deadline = deadline, s->left = places(s->task);
  CHECK(s->left > 0, "a task that draws or reads something");
  if (auto* d = std::get_if<DrawTask>(&s->task)) {
    if (!d->options.width) d->options.width = int(model_.config.size);
    if (!d->options.height) d->options.height = int(model_.config.size);
    const int64_t p = model_.config.patch, w = d->options.width, h = d->options.height;
    if (w < p || h < p || w % p || h % p) refuse("size ", w, "x", h, " must be a multiple of ", p);
  }
  if (const auto* d = std::get_if<DrawTask>(&s->task))
    CHECK(d->best_of >= 1 && d->pictures.size() % size_t(d->best_of) == 0, d->pictures.size(), " drawings, the best of each ",
          d->best_of);
  if (auto* c = std::get_if<CaptionTask>(&s->task))
    CHECK(!c->pictures.empty() && c->pictures.size() <= CaptionRun::kMost, "1 to ", CaptionRun::kMost, " pictures");
  {
    std::lock_guard l(mutex_);
    const size_t waiting = drawings_.size() + readings_.size();
    if (s->left > size_t(limits_.waiting))  // it would never fit
      refuse("n: ", s->left, " drawings at a time, best_of counted; the queue here (serve --queue) has ", limits_.waiting,
             " places");
    if (stop_) throw Busy("the engine is stopping", 5);
    if (waiting + s->left > size_t(limits_.waiting)) {
      ++stats_.turned_away;
      const double each = stats_.busy / double(std::max<int64_t>(1, stats_.pictures + stats_.read));
      throw Busy(join("the queue is full: ", waiting, " of ", limits_.waiting, " places are taken"),
                 std::clamp(int(std::ceil(each * double(waiting))), 1, 60));
    }
    for (size_t i = 0; is_drawing(s->task) && i < s->left; ++i) drawings_.push(client, {s, i});
    if (!is_drawing(s->task)) readings_.push(client, s);
  }
  wake_.notify_all();
  return std::unique_ptr<Job>(new Job(std::move(s)));
}

EngineStats Engine::stats() const {
  std::lock_guard l(mutex_);
  return stats_;
}

void Engine::tell(const StatePtr& s, Event e) {
  {
    std::lock_guard l(s->mutex);
    s->events.push_back(std::move(e));
  }
  s->wake.notify_all();
}

void Engine::end(const StatePtr& s, Event e) {
  if (s->ended) return;
  s->ended = true;
  {
    std::lock_guard l(mutex_);
    if (e.kind == Event::cancelled) ++stats_.cancelled;
    if (e.kind == Event::late) ++stats_.late;
    if (e.kind == Event::finished && !is_drawing(s->task)) ++stats_.read;
  }
  tell(s, std::move(e));
}

// Whether nothing more is to be done for a job; ends it where that is news.
bool Engine::gone(const StatePtr& s) {
  if (s->ended) return true;
  if (s->cancelled) end(s, {.kind = Event::cancelled});
  else if (Clock::now() >= s->deadline) end(s, {.kind = Event::late});
  return s->ended;
}

void Engine::loop() {
  for (;;) {
    {
      std::unique_lock l(mutex_);
      wake_.wait(l, [&] {
        return stop_ || !drawings_.empty() || !readings_.empty() || !active_.empty() || !resumed_.empty() || !reading_.empty();
      });
      if (stop_) break;
    }
    clear_gone();
    admit_drawings();
    admit_reading();
    {
      std::lock_guard l(mutex_);
      stats_.waiting = int64_t(drawings_.size() + readings_.size());
      stats_.drawing = int64_t(active_.size()), stats_.reading = int64_t(reading_.size());
    }
    const auto start = Clock::now();
    draw_step();
    caption_step();
    std::lock_guard l(mutex_);
    stats_.busy += std::chrono::duration<double>(Clock::now() - start).count();
    stats_.drawing = int64_t(active_.size()), stats_.reading = int64_t(reading_.size());
  }
  std::vector<StatePtr> left;
  for (const auto* some : {&active_, &halting_, &resumed_})
    for (const Active& a : *some) left.push_back(a.job);
  for (const Reading& r : reading_)
    for (const auto& part : r.parts) left.push_back(part.job);
  {
    std::lock_guard l(mutex_);
    drawings_.remove_if([&](const Waiting& w) { return left.push_back(w.job), true; });
    readings_.remove_if([&](const StatePtr& s) { return left.push_back(s), true; });
  }
  for (const auto& s : left) end(s, {.kind = Event::cancelled});
}

// Jobs that were cancelled or are late leave the queue, the batch and the captions.
void Engine::clear_gone() {
  std::vector<StatePtr> waiting;
  {
    std::lock_guard l(mutex_);
    const auto over = [](const StatePtr& s) { return s->ended || s->cancelled || Clock::now() >= s->deadline; };
    drawings_.remove_if([&](const Waiting& w) { return over(w.job) && (waiting.push_back(w.job), true); });
    readings_.remove_if([&](const StatePtr& s) { return over(s) && (waiting.push_back(s), true); });
  }
  for (const auto& s : waiting) gone(s);
  for (auto* some : {&active_, &halting_, &resumed_}) std::erase_if(*some, [&](const Active& a) { return gone(a.job); });
  for (Reading& r : reading_) {
    for (const auto& part : r.parts)
      if (gone(part.job))
        for (size_t i = 0; i < part.count; ++i) r.run.drop(part.first + i);
    std::erase_if(r.parts, [](const Reading::Part& p) { return p.job->ended; });
  }
  std::erase_if(reading_, [](const Reading& r) { return r.parts.empty(); });
}

void Engine::admit_drawings() {
  int64_t rows = 0;
  for (const Active& a : active_) rows += a.drawing.rows();
  for (; !resumed_.empty() && (rows == 0 || rows + resumed_.front().drawing.rows() <= limits_.rows); resumed_.pop_front()) {
    rows += resumed_.front().drawing.rows();
    active_.push_back(std::move(resumed_.front()));
  }
  for (;;) {
    std::optional<Waiting> next;
    {
      std::lock_guard l(mutex_);
      next = drawings_.pop_if([&](const Waiting& w) {
        const DrawOptions& o = std::get<DrawTask>(w.job->task).options;
        const int64_t need =
            int64_t(o.width) * o.height / (model_.config.patch * model_.config.patch) * (o.guidance != 1 ? 2 : 1);
        return rows == 0 || rows + need <= limits_.rows;
      });
    }
    if (!next) return;
    if (gone(next->job)) continue;
    const auto& task = std::get<DrawTask>(next->job->task);
    try {
      active_.push_back(
          {next->job, next->index, Drawing(model_, tokenizer_, task.pictures[next->index], task.options, task.given.get())});
      Active& a = active_.back();
      rows += a.drawing.rows();
      const size_t n = size_t(task.best_of), picture = a.index / n;
      if (const auto all = thinnings_of(a); !all.empty()) a.halt = all[0].step;
      if (n > 1) a.job->choices.try_emplace(picture, Job::State::Choice{n, picture * n, {}});
    } catch (const std::exception& e) {
      end(next->job, {.kind = Event::refused, .text = e.what()});
    }
  }
}

// One evaluation for every picture in the batch; those that are done leave it.
void Engine::draw_step() {
  if (active_.empty()) return;
  std::vector<Drawing*> all;
  for (Active& a : active_) all.push_back(&a.drawing);
  try {
    batch_.advance(all);
  } catch (const std::exception& e) {
    for (const Active& a : active_) end(a.job, {.kind = Event::broken, .text = e.what()});
    active_.clear();
    return;
  }
  {  // before anyone is told, so that who has a picture finds it counted
    std::lock_guard l(mutex_);
    ++stats_.passes, stats_.evaluations += int64_t(all.size());
    stats_.pictures += std::count_if(all.begin(), all.end(), [](const Drawing* d) { return d->done(); });
  }
  for (Active& a : active_) {
    if (!a.drawing.done()) {
      show(a);
      continue;
    }
    try {
      if (!gone(a.job)) hand_over(a);
    } catch (const std::exception& e) {
      end(a.job, {.kind = Event::broken, .text = e.what()});
    }
    if (--a.job->left == 0) end(a.job, {.kind = Event::finished});
  }
  std::erase_if(active_, [](const Active& a) { return a.drawing.done(); });

  const auto first_halting = std::stable_partition(active_.begin(), active_.end(),
                                                   [](const Active& a) { return !a.halt || a.drawing.step() < a.halt; });
  std::set<std::pair<StatePtr, size_t>> pictures;
  for (auto a = first_halting; a != active_.end(); ++a) {
    pictures.emplace(a->job, a->index / size_t(std::get<DrawTask>(a->job->task).best_of));
    halting_.push_back(std::move(*a));
  }
  active_.erase(first_halting, active_.end());
  for (const auto& [job, picture] : pictures) {
    try {
      if (!gone(job)) thin(job, picture);
    } catch (const std::exception& e) {
      end(job, {.kind = Event::broken, .text = e.what()});
    }
  }
}

std::vector<Thinning> Engine::thinnings_of(const Active& a) const {
  return thinnings(size_t(std::get<DrawTask>(a.job->task).best_of), a.drawing.first_step(), a.drawing.steps());
}

// When all drawings that a picture is still chosen of have come as far, the likeliest go on.
void Engine::thin(const StatePtr& job, size_t picture) {
  const auto& task = std::get<DrawTask>(job->task);
  auto& choice = job->choices[picture];
  const auto other = [&](const Active& a) { return a.job != job || a.index / size_t(task.best_of) != picture; };
  const auto first = std::stable_partition(halting_.begin(), halting_.end(), other);
  if (size_t(halting_.end() - first) < choice.left) return;
  std::sort(first, halting_.end(), [](const Active& a, const Active& b) { return a.index < b.index; });
  std::vector<Image> guesses;
  int shown = 0;
  for (auto a = first; a != halting_.end(); ++a) {
    guesses.push_back(finished(a->drawing.guess().data(), a->drawing.width(), a->drawing.height(), task.options.finish));
    shown = std::max(shown, a->shown);
  }
  const auto all = thinnings_of(*first);
  auto now = all.begin();
  while (now->step != first->halt) ++now;
  const auto next = now + 1;
  auto stay = likeliest(own_scores(model_, tokenizer_, task.words, guesses, BestBy::both), now->left);
  job->left -= choice.left - stay.size();
  choice.left = stay.size(), choice.likeliest = first[int64_t(stay[0])].index;
  std::sort(stay.begin(), stay.end());
  for (const size_t i : stay) {
    Active& a = resumed_.emplace_back(std::move(first[int64_t(i)]));
    a.halt = next == all.end() ? 0 : next->step, a.shown = shown;
  }
  halting_.erase(first, halting_.end());
}

// A drawing that is done is a picture, or one of several that the best is chosen of when all are there.
void Engine::hand_over(const Active& a) {
  const auto& task = std::get<DrawTask>(a.job->task);
  const size_t n = size_t(task.best_of), picture = a.index / n;
  const int w = a.drawing.width(), h = a.drawing.height();
  std::vector<float> pixels = a.drawing.pixels();
  size_t place = a.index;
  if (n > 1) {
    auto& choice = a.job->choices[picture];
    choice.done.emplace(place, std::move(pixels));
    if (choice.done.size() < choice.left) return;
    std::vector<Image> images;
    for (const auto& [k, p] : choice.done) images.push_back(finished(p.data(), w, h, task.options.finish));
    size_t best = 0;
    if (images.size() > 1) best = best_of(own_scores(model_, tokenizer_, task.words, images, BestBy::both));
    auto& kept = *std::next(choice.done.begin(), int64_t(best));
    place = kept.first, pixels = std::move(kept.second);
    a.job->choices.erase(picture);
  }
  tell(a.job, {.kind = Event::picture,
               .index = picture,
               .seed = task.pictures[place].seed,
               .step = a.drawing.step(),
               .steps = a.drawing.steps(),
               .width = w,
               .height = h,
               .pixels = std::move(pixels)});
}

// Of n previews the first is due after a fifth of the steps that are taken, or earlier where there are many; the others
// evenly after it.
void Engine::show(Active& a) {
  const Drawing& d = a.drawing;
  const auto& task = std::get<DrawTask>(a.job->task);
  const size_t picture = a.index / size_t(task.best_of);
  const int n = task.previews;
  int first = d.first_step();
  if (task.best_of > 1) {
    if (const auto all = thinnings_of(a); !all.empty()) first = all[0].step;
    if (d.step() <= first || a.index != a.job->choices[picture].likeliest) return;
  }
  const double parts = std::max(5, n + 1), all = d.steps() - first;
  const auto due = [&](int i) {
    return i < n && d.step() - first >= std::max(1, int(all * (1 + (parts - 1) * i / n) / parts));
  };
  if (!due(a.shown)) return;
  while (due(a.shown)) ++a.shown;
  tell(a.job, {.kind = Event::preview,
               .index = picture,
               .seed = task.pictures[a.index].seed,
               .step = d.step(),
               .steps = d.steps(),
               .width = d.width(),
               .height = d.height(),
               .pixels = d.guess()});
}

// At most one pass over new pictures between two evaluations: captions of several jobs with the same options together.
void Engine::admit_reading() {
  size_t live = 0;
  for (const Reading& r : reading_)
    for (const auto& part : r.parts) live += part.count;
  std::vector<StatePtr> together;
  size_t count = 0;
  {
    std::lock_guard l(mutex_);
    while (auto s = readings_.pop_if([&](const StatePtr& next) {
      const auto* c = std::get_if<CaptionTask>(&next->task);
      if (!c) return together.empty();
      const size_t n = c->pictures.size();
      if (together.empty()) return live == 0 || live + n <= 2 * CaptionRun::kMost;
      const auto* first = std::get_if<CaptionTask>(&together[0]->task);
      return first && first->options == c->options && count + n <= CaptionRun::kMost;
    })) {
      together.push_back(*s);
      if (const auto* c = std::get_if<CaptionTask>(&(*s)->task)) count += c->pictures.size();
    }
  }
  std::erase_if(together, [&](const StatePtr& s) { return gone(s); });
  if (together.empty()) return;
  if (!std::holds_alternative<CaptionTask>(together[0]->task)) return read_now(together[0]);
  std::vector<Image> pictures;
  std::vector<Reading::Part> parts;
  for (const auto& s : together) {
    const auto& own = std::get<CaptionTask>(s->task).pictures;
    parts.push_back({s, pictures.size(), own.size()});
    pictures.insert(pictures.end(), own.begin(), own.end());
  }
  try {
    reading_.push_back({CaptionRun(model_, tokenizer_, pictures, std::get<CaptionTask>(together[0]->task).options), parts});
  } catch (const std::exception& e) {
    for (const auto& s : together) end(s, {.kind = Event::refused, .text = e.what()});
  }
}

// One token of every caption.
void Engine::caption_step() {
  for (Reading& r : reading_) try {
      r.run.step();
      for (const auto& part : r.parts) {
        bool all = true;
        for (size_t i = 0; i < part.count; ++i) {
          all = all && r.run.done(part.first + i);
          tell(part.job, {.kind = Event::words, .index = i, .text = r.run.certain(part.first + i)});
        }
        if (!all) continue;
        Event e{.kind = Event::finished};
        for (size_t i = 0; i < part.count; ++i) e.captions.push_back(r.run.caption(part.first + i));
        end(part.job, std::move(e));
      }
      std::erase_if(r.parts, [](const Reading::Part& p) { return p.job->ended; });
    } catch (const std::exception& e) {
      for (const auto& part : r.parts) end(part.job, {.kind = Event::broken, .text = e.what()});
      r.parts.clear();
    }
  std::erase_if(reading_, [](const Reading& r) { return r.parts.empty(); });
}

// What takes a single pass: classes and embeddings.
void Engine::read_now(const StatePtr& s) {
  try {
    Event e{.kind = Event::finished};
    if (const auto* c = std::get_if<ClassifyTask>(&s->task)) {
      e.probabilities = Classifier(model_, tokenizer_, c->labels, c->sentence, c->by)(c->pictures);
    } else {
      const auto& task = std::get<EmbedTask>(s->task);
      const int64_t E = model_.config.embed;
      const auto split = [&](const Tensor& t, std::vector<std::vector<float>>& to) {
        for (int64_t i = 0; i < t.dim(0); ++i) to.emplace_back(t.data() + i * E, t.data() + (i + 1) * E);
      };
      if (!task.pictures.empty()) split(embed_pictures(model_, task.pictures), e.pictures);
      if (!task.texts.empty()) split(embed_texts(model_, tokenizer_, task.texts), e.texts);
    }
    end(s, std::move(e));
  } catch (const Error& e) {
    end(s, {.kind = Event::refused, .text = e.what()});
  } catch (const std::exception& e) {
    end(s, {.kind = Event::broken, .text = e.what()});
  }
}

}  // namespace duet
