// The engine: one thread that owns the model and works for everybody at a time. Tasks come from any thread; what
// becomes of them comes back as events. Pictures are drawn in one batch that any of them may join or leave between two
// evaluations of the model, captions grow a token between those: a picture is the same bits whoever shares the batch.
// Clients take turns; what is cancelled or too late stops before the next evaluation.
#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "infer/bestof.h"
#include "infer/classify.h"
#include "infer/fairqueue.h"
#include "infer/flowbatch.h"
#include "infer/reader.h"

namespace duet {

using Clock = std::chrono::steady_clock;

struct DrawTask {
  std::vector<DrawRequest> pictures;
  DrawOptions options;
  std::shared_ptr<const Given> given;  // of all pictures; none: from noise alone
  int previews = 0;                    // of each picture, the first after a fifth of the steps at the latest, see best_of
  // Of each best_of drawings in a row the one that the model reads best as `words` is the picture; on the way the less
  // likely ones are given up (infer/bestof.h), and previews begin after that, of the likeliest.
  int best_of = 1;
  std::string words = {};
};
struct CaptionTask {
  std::vector<Image> pictures;  // at most CaptionRun::kMost
  CaptionOptions options;
};
struct ClassifyTask {
  std::vector<Image> pictures;
  std::vector<std::string> labels;
  std::string sentence;  // see Classifier
  ClassifyBy by = ClassifyBy::embedding;
};
struct EmbedTask {
  std::vector<Image> pictures;
  std::vector<std::string> texts;
};
using Task = std::variant<DrawTask, CaptionTask, ClassifyTask, EmbedTask>;

struct Event {
  enum Kind {
    preview,    // pixels of picture `index` as the model now guesses it, and its seed
    picture,    // its final pixels, and its seed
    words,      // text: how the caption of picture `index` begins
    finished,   // the task is done; captions, rows or probabilities hold what it was to give
    refused,    // text: what was wrong with the task
    cancelled,  // by cancel(), or because the engine ends
    late,       // the deadline came first
    broken,     // text: what went wrong in the engine
  };
  Kind kind;
  size_t index = 0;
  uint64_t seed = 0;
  int step = 0, steps = 0, width = 0, height = 0;
  std::vector<float> pixels = {};  // (H,W,4), see vision/patch.h
  std::string text = {};
  std::vector<Caption> captions = {};
  std::vector<std::vector<double>> probabilities = {};
  std::vector<std::vector<float>> pictures = {}, texts = {};  // unit rows
};

// One task in the engine's hands. Dropping the last pointer to it cancels it.
class Job {
 public:
  Event next();   // waits, until the deadline; after finished, refused, cancelled, late or broken there is none
  void cancel();  // takes effect before the next evaluation of the model
  ~Job() { cancel(); }

 private:
  friend class Engine;
  struct State;
  explicit Job(std::shared_ptr<State> s) : state_(std::move(s)) {}
  std::shared_ptr<State> state_;
};

struct Busy : Error {  // the queue is full
  int retry_after;     // seconds
  Busy(const std::string& what, int seconds) : Error(what), retry_after(seconds) {}
};

struct EngineStats {
  int64_t waiting = 0, drawing = 0, reading = 0;  // now: pictures, pictures, tasks
  int64_t pictures = 0, read = 0, passes = 0, evaluations = 0, cancelled = 0, late = 0, turned_away = 0;  // so far
  double busy = 0;  // seconds in the model so far
};

struct EngineLimits {
  int waiting = 64;     // pictures and reading tasks in the queue
  int64_t rows = 2048;  // of the model in one pass: a guided picture has two for each patch. A larger picture goes alone
};

class Engine {
 public:
  Engine(const Model&, const Tokenizer&, const EngineLimits& = {});
  ~Engine();  // cancels what is left
  // Throws Busy, and refuses what the model cannot do (a size that is no multiple of the patch, too many pictures ...).
  std::unique_ptr<Job> submit(Task, const std::string& client, Clock::time_point deadline);
  EngineStats stats() const;
  int most_waiting() const { return limits_.waiting; }

 private:
  using StatePtr = std::shared_ptr<Job::State>;
  struct Waiting {
    StatePtr job;
    size_t index;  // of the picture
  };
  struct Active {
    StatePtr job;
    size_t index;
    Drawing drawing;
    int halt = 0;   // after this step it waits for the others that its picture is chosen of; 0: at none
    int shown = 0;  // previews
  };
  struct Reading {  // captions of some jobs, in one run
    struct Part {
      StatePtr job;
      size_t first, count;
    };
    CaptionRun run;
    std::vector<Part> parts;
  };
  void loop();
  void clear_gone();
  void admit_drawings();
  void draw_step();
  void thin(const StatePtr&, size_t picture);
  std::vector<Thinning> thinnings_of(const Active&) const;
  void show(Active&);
  void hand_over(const Active&);
  void admit_reading();
  void caption_step();
  void read_now(const StatePtr&);
  bool gone(const StatePtr&);
  void end(const StatePtr&, Event);
  void tell(const StatePtr&, Event);

  const Model& model_;
  const Tokenizer& tokenizer_;
  const EngineLimits limits_;
  FlowBatch batch_;
  std::deque<Active> active_;
  std::deque<Active> halting_, resumed_;  // those that wait for others; those that are to go on when there is room
  std::list<Reading> reading_;

  mutable std::mutex mutex_;  // of what follows
  std::condition_variable wake_;
  FairQueue<Waiting> drawings_;
  FairQueue<StatePtr> readings_;
  EngineStats stats_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace duet
