#include "infer/eval_text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "infer/eval_stats.h"
#include "kernels/error.h"
#include "text/unicode.h"

namespace duet {
namespace {

using Counts = std::map<WordList, int>;

Counts ngrams(const WordList& words, size_t n) {
  Counts out;
  for (size_t i = 0; i + n <= words.size(); ++i) out[WordList(words.begin() + long(i), words.begin() + long(i + n))]++;
  return out;
}

bool is_punctuation(std::string_view one) {  // a whole UTF-8 sequence
  const auto b = [&](size_t i) { return uint8_t(one[i]); };
  if (one.size() == 1) return b(0) < 0x80 && std::ispunct(b(0));
  if (one.size() != 3) return false;
  const int code = (b(0) & 15) << 12 | (b(1) & 63) << 6 | (b(2) & 63);
  return (code >= 0x2010 && code <= 0x2027) || (code >= 0x2030 && code <= 0x205e) || (code >= 0x3001 && code <= 0x3003) ||
         (code >= 0x3008 && code <= 0x3011) || (code >= 0xff01 && code <= 0xff0f) || (code >= 0xff1a && code <= 0xff20) ||
         (code >= 0xff3b && code <= 0xff40) || (code >= 0xff5b && code <= 0xff65);
}

size_t longest_common(const WordList& a, const WordList& b) {
  std::vector<size_t> row(b.size() + 1);
  for (const auto& word : a) {
    size_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(row[j + 1], row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

// tf-idf vectors of one text for n = 1..4, with their lengths.
struct Weighted {
  std::array<std::map<WordList, double>, 4> value;
  std::array<double, 4> norm{};
  double words = 0;
};

}  // namespace

WordList caption_words(std::string_view text) {
  WordList out;
  std::string word;
  const auto end = [&] {
    if (!word.empty()) out.push_back(std::move(word));
    word.clear();
  };
  for (size_t i = 0; i < text.size();) {
    const size_t n = std::max<size_t>(utf8_sequence(text, i), 1);
    const std::string_view one = text.substr(i, n);
    i += n;
    if (one == "'" || one == "’") continue;
    if (one == " " || one == "\t" || one == "\n" || one == "\r" || is_punctuation(one)) end();
    else if (n == 1 && one[0] >= 'A' && one[0] <= 'Z') word += char(one[0] + 32);
    else word += one;
  }
  end();
  return out;
}

std::string joined(const WordList& words) {
  std::string out;
  for (const auto& w : words) out += (out.empty() ? "" : " ") + w;
  return out;
}

double bleu(const std::vector<CaptionPair>& pairs, int n) {
  double log_sum = 0, said = 0, wanted = 0;
  for (int k = 1; k <= n; ++k) {
    double match = 0, all = 0;
    for (const auto& p : pairs) {
      Counts most;
      for (const auto& r : p.references)
        for (const auto& [gram, count] : ngrams(r, size_t(k))) most[gram] = std::max(most[gram], count);
      for (const auto& [gram, count] : ngrams(p.said, size_t(k))) {
        const auto found = most.find(gram);
        match += found == most.end() ? 0 : std::min(count, found->second);
        all += count;
      }
    }
    if (match == 0) return 0;
    log_sum += std::log(match / all) / n;
  }
  for (const auto& p : pairs) {
    const auto far = [&](const WordList& r) { return std::pair(std::abs(long(r.size()) - long(p.said.size())), r.size()); };
    size_t nearest = p.references.at(0).size();
    std::pair<long, size_t> best = far(p.references[0]);
    for (const auto& r : p.references)
      if (far(r) < best) best = far(r), nearest = r.size();
    said += double(p.said.size()), wanted += double(nearest);
  }
  return std::exp(log_sum + std::min(0.0, 1 - wanted / said));
}

std::vector<double> rouge_l_each(const std::vector<CaptionPair>& pairs) {
  constexpr double kBeta = 1.2;
  std::vector<double> out;
  for (const auto& p : pairs) {
    double precision = 0, recall = 0;
    for (const auto& r : p.references) {
      if (p.said.empty() || r.empty()) continue;
      const double common = double(longest_common(p.said, r));
      precision = std::max(precision, common / double(p.said.size()));
      recall = std::max(recall, common / double(r.size()));
    }
    const bool any = precision > 0 && recall > 0;
    out.push_back(any ? (1 + kBeta * kBeta) * precision * recall / (recall + kBeta * kBeta * precision) : 0);
  }
  return out;
}
double rouge_l(const std::vector<CaptionPair>& pairs) { return mean(rouge_l_each(pairs)); }

std::vector<double> cider_d_each(const std::vector<CaptionPair>& pairs) {
  constexpr double kSigma = 6;
  std::map<WordList, double> documents;  // pictures whose references hold the n-gram
  for (const auto& p : pairs) {
    std::set<WordList> here;
    for (const auto& r : p.references)
      for (size_t n = 1; n <= 4; ++n)
        for (const auto& [gram, count] : ngrams(r, n)) here.insert(gram);
    for (const auto& gram : here) documents[gram]++;
  }
  const double log_all = std::log(double(pairs.size()));
  const auto weigh = [&](const WordList& words) {
    Weighted w;
    w.words = std::max<double>(double(words.size()) - 1, 0);  // pycocoevalcap takes the number of bigrams as the length
    for (size_t n = 0; n < 4; ++n) {
      for (const auto& [gram, count] : ngrams(words, n + 1)) {
        const auto found = documents.find(gram);
        const double idf = log_all - std::log(std::max(1.0, found == documents.end() ? 0 : found->second));
        w.value[n][gram] = count * idf;
        w.norm[n] += count * idf * count * idf;
      }
      w.norm[n] = std::sqrt(w.norm[n]);
    }
    return w;
  };
  std::vector<double> out;
  for (const auto& p : pairs) {
    const Weighted said = weigh(p.said);
    double of_picture = 0;
    for (const auto& reference : p.references) {
      const Weighted r = weigh(reference);
      const double apart = said.words - r.words, damped = std::exp(-apart * apart / (2 * kSigma * kSigma));
      for (size_t n = 0; n < 4; ++n) {
        double dot = 0;
        for (const auto& [gram, v] : said.value[n])
          if (const auto found = r.value[n].find(gram); found != r.value[n].end())
            dot += std::min(v, found->second) * found->second;
        if (said.norm[n] > 0 && r.norm[n] > 0) dot /= said.norm[n] * r.norm[n];
        of_picture += dot * damped / 4;
      }
    }
    CHECK(!p.references.empty(), "a picture with references");
    out.push_back(10 * of_picture / double(p.references.size()));
  }
  return out;
}
double cider_d(const std::vector<CaptionPair>& pairs) { return mean(cider_d_each(pairs)); }

WordList without_article(WordList words) {
  if (words.size() > 1 && (words[0] == "a" || words[0] == "an" || words[0] == "the")) words.erase(words.begin());
  return words;
}

bool names(const WordList& said, const WordList& concept_words, bool korean) {
  const WordList c = without_article(concept_words);
  if (c.empty()) return false;
  for (size_t i = 0; i + c.size() <= said.size(); ++i) {
    bool same = std::equal(c.begin(), c.end() - 1, said.begin() + long(i));
    const std::string& last = said[i + c.size() - 1];
    if (same && (korean ? last.starts_with(c.back()) : last == c.back())) return true;
  }
  return false;
}

}  // namespace duet
