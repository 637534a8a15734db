// Many tasks at a time in one engine: each comes out as it would alone, in turn, and stops when it is told to.
#include "infer/engine.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "infer/bestof.h"
#include "tests/infer/tiny.h"

namespace duet {
namespace {

using std::chrono::seconds;

DrawRequest request(uint64_t seed, int tokens = 4) {
  DrawRequest r{.prompt = {3}, .negative = {}, .seed = seed};
  for (int i = 1; i < tokens; ++i) r.prompt.push_back(20 + int(mix(seed, uint64_t(i)) % 250));
  return r;
}

struct EngineTest : testing::Test {
  std::unique_ptr<Model> model = tiny_model();
  const Tokenizer& tokenizer = tiny_tokenizer();

  static Clock::time_point later() { return Clock::now() + seconds(120); }
  std::unique_ptr<Job> draw_one(Engine& e, uint64_t seed, const DrawOptions& o, const std::string& client = "a",
                                int previews = 0) {
    return e.submit(DrawTask{{request(seed)}, o, nullptr, previews}, client, later());
  }
  // All events up to the last one.
  static std::vector<Event> all(Job& j) {
    std::vector<Event> out;
    do out.push_back(j.next());
    while (out.back().kind == Event::preview || out.back().kind == Event::picture || out.back().kind == Event::words);
    return out;
  }
  static std::vector<float> picture(Job& j) {
    for (Event& e : all(j))
      if (e.kind == Event::picture) return e.pixels;
    return {};
  }
  std::vector<float> alone(uint64_t seed, const DrawOptions& o) { return draw(*model, tokenizer, {request(seed)}, o); }
};

const std::vector<DrawOptions> kWays = {{.steps = 40, .guidance = 3},
                                        {.steps = 7, .guidance = 1},
                                        {.steps = 9, .guidance = 2, .heun = true, .width = 32, .height = 16},
                                        {.steps = 1, .guidance = 5, .width = 8, .height = 8},
                                        {.steps = 11, .guidance = 3, .guide_from = 0.03, .guide_to = 0.5},
                                        {.steps = 6, .guidance = 3, .heun = true, .guide_to = 0.6},
                                        {.steps = 23, .guidance = 0.5, .width = 16, .height = 40}};

// Sizes, steps, guidance and ways of stepping are mixed; pictures join while others are under way.
TEST_F(EngineTest, APictureInCompanyIsThePictureAlone) {
  Engine engine(*model, tokenizer, {.waiting = 200, .rows = 100});
  std::vector<std::unique_ptr<Job>> jobs;
  for (uint64_t i = 0; i < 40; ++i) {
    jobs.push_back(draw_one(engine, i, kWays[i % kWays.size()], std::to_string(i % 3)));
    if (i % 10 == 9) jobs.back()->next();  // some are done before others come
  }
  for (uint64_t i = 0; i < 40; ++i) {
    if (i % 10 == 9) continue;
    EXPECT_EQ(picture(*jobs[i]), alone(i, kWays[i % kWays.size()])) << "picture " << i;
  }
  const EngineStats s = engine.stats();
  EXPECT_EQ(s.pictures, 40);
  EXPECT_GT(double(s.evaluations) / double(s.passes), 1.5) << "they hardly shared a pass";
}

// Whoever shares the batch, and in whichever order they come as far: the picture that draw_best() gives, whether all are
// finished (7 steps) or some are given up; previews come from those alone that are not.
TEST_F(EngineTest, OfSeveralDrawingsTheBestIsThePicture) {
  for (const int steps : {7, 12}) {
    const DrawOptions o{.steps = steps, .guidance = 3};
    DrawTask task{{}, o, nullptr, 2, 5, "a red circle"};
    const std::vector<int> prompt = request(7).prompt;
    std::vector<Wanted> wanted(2, {task.words, {prompt, {}, 0}, {}});
    for (uint64_t i = 0; i < 10; ++i) {
      task.pictures.push_back({prompt, {}, 7 + i});
      wanted[i / 5].seeds.push_back(7 + i);
    }
    const auto kept = draw_best(*model, tokenizer, wanted, o, BestBy::both);
    std::vector<std::set<uint64_t>> stay(2);  // seeds that go on after a quarter of twelve steps
    draw(*model, tokenizer, task.pictures, o, [&](int step, const float* guess) {
      const size_t side = size_t(model->config.size), each = side * side * 4;
      for (size_t i = 0; i < 2 && step == 3; ++i) {
        std::vector<Image> guesses;
        for (size_t k = 5 * i; k < 5 * i + 5; ++k)
          guesses.push_back(finished(guess + k * each, int(side), int(side), o.finish));
        for (const size_t k : likeliest(own_scores(*model, tokenizer, task.words, guesses, BestBy::both), 3))
          stay[i].insert(wanted[i].seeds[k]);
      }
    });
    Engine engine(*model, tokenizer, {.waiting = 200, .rows = 60});  // a few at a time
    auto other = draw_one(engine, 1, kWays[0]);
    auto job = engine.submit(task, "b", later());
    auto another = draw_one(engine, 2, kWays[1]);
    const auto events = all(*job);
    std::map<size_t, std::vector<uint64_t>> previews;
    int pictures = 0;
    for (const Event& e : events) {
      if (e.kind == Event::preview) {
        previews[e.index].push_back(e.seed);
        EXPECT_GT(e.step, steps == 12 ? 3 : 0);
      }
      if (e.kind != Event::picture) continue;
      ++pictures;
      EXPECT_EQ(e.seed, wanted[e.index].seeds[kept[e.index].seed]);
      const Image image = finished(e.pixels.data(), e.width, e.height, o.finish);
      EXPECT_EQ(image.rgba, kept[e.index].image.rgba);
    }
    EXPECT_EQ(pictures, 2);
    for (size_t i = 0; i < 2; ++i) {
      ASSERT_EQ(previews[i].size(), 2u) << steps;
      for (const uint64_t seed : previews[i])
        if (steps == 7) EXPECT_EQ(seed, 7 + 5 * i);  // none is given up: the first
        else EXPECT_TRUE(stay[i].contains(seed)) << seed;
    }
    EXPECT_EQ(events.back().kind, Event::finished);
    EXPECT_EQ(picture(*other), alone(1, kWays[0]));
    EXPECT_EQ(picture(*another), alone(2, kWays[1]));
    EXPECT_EQ(engine.stats().pictures, 2 + (steps == 7 ? 10 : 4));
  }
}

// One that is cancelled while some of its drawings wait for the others ends once, and the engine goes on.
TEST_F(EngineTest, CancelledWhileDrawingsWaitForOthers) {
  Engine engine(*model, tokenizer, {.waiting = 200, .rows = 20});  // one or two at a time
  DrawTask task{{}, {.steps = 200, .guidance = 3}, nullptr, 1, 4, "a red circle"};
  for (uint64_t i = 0; i < 4; ++i) task.pictures.push_back(request(7 + i));
  auto job = engine.submit(task, "a", later());
  while (engine.stats().evaluations < 70) std::this_thread::yield();  // the first one has taken its quarter
  job->cancel();
  EXPECT_EQ(all(*job).back().kind, Event::cancelled);
  EXPECT_EQ(engine.stats().pictures, 0);
  EXPECT_EQ(picture(*draw_one(engine, 1, kWays[1])), alone(1, kWays[1]));
}

// One that is cancelled with half of its drawings done ends once, and the engine goes on.
TEST_F(EngineTest, CancelledAmongItsDrawings) {
  Engine engine(*model, tokenizer, {.waiting = 200, .rows = 20});  // one or two at a time
  DrawTask task{{}, {.steps = 4, .guidance = 3}, nullptr, 1, 4, "a red circle"};
  for (uint64_t i = 0; i < 8; ++i) task.pictures.push_back(request(7 + i));
  auto job = engine.submit(task, "a", later());
  EXPECT_EQ(job->next().kind, Event::preview);
  job->cancel();
  auto events = all(*job);
  EXPECT_EQ(events.back().kind, Event::cancelled);
  EXPECT_EQ(picture(*draw_one(engine, 1, kWays[1])), alone(1, kWays[1]));
}

TEST_F(EngineTest, MoreThanTheQueueHoldsIsRefusedForGood) {
  Engine engine(*model, tokenizer, {.waiting = 2});
  DrawTask task{{request(1), request(2), request(3)}, {.steps = 2}, nullptr};
  try {
    engine.submit(task, "a", later());
    ADD_FAILURE() << "taken";
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "n: 3 drawings at a time, best_of counted; the queue here (serve --queue) has 2 places");
  }
  task.pictures.pop_back();
  EXPECT_EQ(all(*engine.submit(task, "a", later())).back().kind, Event::finished);
}

TEST_F(EngineTest, ReadingAndDrawingAtATimeChangeNeither) {
  std::vector<Image> images;
  for (uint64_t i = 0; i < 6; ++i) images.push_back(tiny_picture(i, 30, 20));
  CaptionOptions o;
  o.most = 12;
  const auto captions = caption_pictures(*model, tokenizer, images, o);
  const auto rows = embed_pictures(*model, images);
  Engine engine(*model, tokenizer);
  std::vector<std::unique_ptr<Job>> draws, reads;
  for (uint64_t i = 0; i < 6; ++i) {
    draws.push_back(draw_one(engine, i, kWays[0]));
    reads.push_back(engine.submit(CaptionTask{{images[i]}, o}, "b", later()));
  }
  auto classes = engine.submit(ClassifyTask{{images[0]}, {"cat", "개"}, "", ClassifyBy::embedding}, "c", later());
  auto embedded = engine.submit(EmbedTask{{images[1]}, {"a red circle"}}, "d", later());
  for (uint64_t i = 0; i < 6; ++i) {
    EXPECT_EQ(picture(*draws[i]), alone(i, kWays[0]));
    const auto events = all(*reads[i]);
    ASSERT_EQ(events.back().kind, Event::finished);
    EXPECT_EQ(events.back().captions.at(0).text, captions[i].text);
    for (const Event& e : events)
      EXPECT_TRUE(e.kind != Event::words || captions[i].text.starts_with(e.text)) << e.text << " | " << captions[i].text;
  }
  const Classifier classify(*model, tokenizer, {"cat", "개"});
  EXPECT_EQ(all(*classes).back().probabilities, classify(std::span(images).first(1)));
  const Event e = all(*embedded).back();
  EXPECT_EQ(e.pictures.at(0), std::vector<float>(rows.data() + 16, rows.data() + 32));
  EXPECT_EQ(e.texts.size(), 1u);
}

TEST_F(EngineTest, PreviewsAreTheModelsOwnGuesses) {
  Engine engine(*model, tokenizer);
  const DrawOptions o{.steps = 16, .guidance = 3};
  std::vector<std::vector<float>> guesses;
  const auto last =
      draw(*model, tokenizer, {request(5)}, o, [&](int, const float* g) { guesses.emplace_back(g, g + 24 * 24 * 4); });
  const auto events = all(*draw_one(engine, 5, o, "a", 3));
  ASSERT_EQ(events.size(), 5u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events[i].kind, Event::preview);
    EXPECT_EQ(events[i].step, std::vector({3, 7, 11})[i]) << "a fifth, then evenly";
    EXPECT_EQ(events[i].pixels, guesses[size_t(events[i].step) - 1]);
  }
  EXPECT_EQ(events[3].pixels, last);
  EXPECT_EQ(events[4].kind, Event::finished);
  const auto steps_of = [&](int previews, std::shared_ptr<const Given> given) {
    std::vector<int> steps;
    auto job = engine.submit(DrawTask{{request(5)}, o, std::move(given), previews}, "a", later());
    for (const Event& e : all(*job))
      if (e.kind == Event::preview) steps.push_back(e.step);
    return steps;
  };
  EXPECT_EQ(steps_of(1, nullptr), std::vector({3}));
  EXPECT_EQ(steps_of(7, nullptr), (std::vector{2, 4, 6, 8, 10, 12, 14}));
  EXPECT_EQ(steps_of(99, nullptr).size(), 15u) << "all but the last, which is the picture";
  auto half = std::make_shared<Given>();
  half->pixels.resize(24 * 24 * 4), half->strength = 0.5;
  EXPECT_EQ(steps_of(2, half), (std::vector{9, 12})) << "of the eight steps that are left";
}

TEST_F(EngineTest, CancelStopsBeforeTheNextEvaluation) {
  Engine engine(*model, tokenizer);
  auto job = draw_one(engine, 1, {.steps = 100000}, "a", 100000);
  job->next();
  job->cancel();
  Event e = job->next();
  while (e.kind == Event::preview) e = job->next();
  EXPECT_EQ(e.kind, Event::cancelled);
  const int64_t then = engine.stats().evaluations;
  EXPECT_EQ(picture(*draw_one(engine, 2, kWays[1])), alone(2, kWays[1]));
  EXPECT_EQ(engine.stats().evaluations, then + 7) << "the cancelled picture was still drawn";
  EXPECT_EQ(engine.stats().cancelled, 1);
}

TEST_F(EngineTest, ManyCancelledOnesLeaveNothingBehind) {
  Engine engine(*model, tokenizer, {.waiting = 64, .rows = 60});
  for (uint64_t i = 0; i < 500; ++i) {
    std::unique_ptr<Job> job;
    if (i % 3 == 0) job = engine.submit(CaptionTask{{tiny_picture(i)}, {}}, "b", later());
    else job = draw_one(engine, i, {.steps = 50}, std::to_string(i % 5), 50);
    if (i % 2) job->next();
  }  // dropped, so cancelled
  EXPECT_EQ(picture(*draw_one(engine, 3, kWays[1])), alone(3, kWays[1]));
  // The engine tells of the picture first and counts what is left afterwards.
  const auto left = [&] {
    const EngineStats s = engine.stats();
    return s.waiting + s.drawing + s.reading;
  };
  for (int i = 0; left() != 0 && i < 5000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(left(), 0);
}

TEST_F(EngineTest, AFullQueueTurnsAwayWholeTasks) {
  Engine engine(*model, tokenizer, {.waiting = 3, .rows = 1});
  auto running = draw_one(engine, 1, {.steps = 100000}, "a", 100000);
  running->next();  // it has left the queue
  auto two = engine.submit(DrawTask{{request(1), request(2)}, {.steps = 2}, nullptr, 0}, "a", later());
  try {
    engine.submit(DrawTask{{request(1), request(2)}, {.steps = 2}, nullptr, 0}, "b", later());
    FAIL() << "four in a queue of three";
  } catch (const Busy& e) {
    EXPECT_GE(e.retry_after, 1);
  }
  auto third = draw_one(engine, 3, {.steps = 2});
  EXPECT_THROW(engine.submit(EmbedTask{{}, {"a"}}, "c", later()), Busy);
  EXPECT_EQ(engine.stats().turned_away, 2);
  running->cancel();
  EXPECT_EQ(all(*two).size(), 3u);
  EXPECT_EQ(all(*third).back().kind, Event::finished);
}

// Whoever waits behind a drawing that has no end is never served, so that this needs no clock to tell turns from a line.
TEST_F(EngineTest, ClientsTakeTurns) {
  const DrawOptions endless{.steps = 100'000'000}, quick{.steps = 2};
  Engine engine(*model, tokenizer, {.waiting = 64, .rows = 1});  // one at a time
  auto first = draw_one(engine, 1, endless, "z");
  auto greedy = draw_one(engine, 2, quick, "greedy");
  std::vector<std::unique_ptr<Job>> more;
  for (uint64_t i = 0; i < 5; ++i) more.push_back(draw_one(engine, 3 + i, endless, "greedy"));
  auto modest = draw_one(engine, 50, quick, "modest");
  first->cancel();  // when all are there
  EXPECT_EQ(all(*modest).back().kind, Event::finished) << "the modest client waited for all of the greedy one's";
  EXPECT_EQ(all(*greedy).back().kind, Event::finished);
  auto behind =
      engine.submit(DrawTask{{request(60)}, quick, nullptr, 0}, "greedy", Clock::now() + std::chrono::milliseconds(300));
  EXPECT_EQ(behind->next().kind, Event::late) << "else waiting behind one's own is no waiting, and this test shows nothing";
}

TEST_F(EngineTest, DeadlinesHoldInTheQueueAndInTheBatch) {
  Engine engine(*model, tokenizer, {.waiting = 64, .rows = 1});
  const auto soon = Clock::now() + std::chrono::milliseconds(150);
  auto running = engine.submit(DrawTask{{request(1)}, {.steps = 1000000}, nullptr, 0}, "a", soon);
  auto waiting = engine.submit(DrawTask{{request(2)}, {.steps = 2}, nullptr, 0}, "a", soon);
  EXPECT_EQ(running->next().kind, Event::late);
  EXPECT_EQ(waiting->next().kind, Event::late);
  EXPECT_LT(Clock::now(), soon + seconds(5));
}

TEST_F(EngineTest, TheEndCancelsWhatIsLeft) {
  auto engine = std::make_unique<Engine>(*model, tokenizer, EngineLimits{.waiting = 64, .rows = 1});
  auto running = draw_one(*engine, 1, {.steps = 1000000});
  auto waiting = draw_one(*engine, 2, {.steps = 2});
  engine.reset();
  EXPECT_EQ(running->next().kind, Event::cancelled);
  EXPECT_EQ(waiting->next().kind, Event::cancelled);
}

TEST_F(EngineTest, RefusesWhatTheModelCannotDo) {
  Engine engine(*model, tokenizer);
  EXPECT_THROW(draw_one(engine, 1, {.width = 9}), Error);
  EXPECT_EQ(engine.submit(ClassifyTask{{tiny_picture(1)}, {"one"}, "", ClassifyBy::embedding}, "a", later())->next().kind,
            Event::refused);
  EXPECT_EQ(picture(*draw_one(engine, 2, kWays[1])), alone(2, kWays[1]));
}

// What stays ends where it was given, and noise that is walked in part keeps some of the picture.
TEST_F(EngineTest, AGivenPictureStaysWhereItIsToStay) {
  const Image from = tiny_picture(9);
  auto given = std::make_shared<Given>();
  for (const uint8_t v : from.rgba) given->pixels.push_back(float(v) / 127.5f - 1);
  for (int i = 0; i < 24 * 24; ++i) given->change.push_back(i % 24 >= 12);
  for (const bool heun : {false, true}) {
    Engine engine(*model, tokenizer);
    auto job = engine.submit(DrawTask{{request(4)}, {.steps = 6, .guidance = 3, .heun = heun}, given, 2}, "a", later());
    const auto events = all(*job);
    const std::vector<float>& got = events[events.size() - 2].pixels;
    float moved = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      const float off = std::abs(got[i] - given->pixels[i]);
      if (i / 4 % 24 < 12) EXPECT_LE(off, 0x1p-21) << "value " << i;  // z + (x - z): two roundings of numbers below 8
      else moved = std::max(moved, off);
    }
    EXPECT_GT(moved, 0.01f);
    for (size_t i = 0; i < got.size(); ++i)
      EXPECT_TRUE(i / 4 % 24 >= 12 || events[0].pixels[i] == given->pixels[i]) << "value " << i;
  }
}

}  // namespace
}  // namespace duet
