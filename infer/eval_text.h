// How much two wordings share: the figures that caption papers print. They count words, not meaning.
//
// The tokenizer is our own and simple: ASCII letters in lower case; punctuation (ASCII, and the general, CJK and full-width
// blocks of Unicode) becomes a space, but an apostrophe vanishes; words are what stands between spaces. So English goes by
// word, Korean by eojeol (a word with its particles). The scores over these words are those of pycocoevalcap's scorers.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace duet {

using WordList = std::vector<std::string>;
WordList caption_words(std::string_view utf8);
std::string joined(const WordList&);  // with spaces between

// One picture's caption and what people wrote of it (at least one).
struct CaptionPair {
  WordList said;
  std::vector<WordList> references;
};

// Corpus BLEU-n (Papineni et al. 2002): clipped n-gram matches of all captions together, geometric mean of 1..n, brevity
// penalty against the nearest reference lengths (the shorter one of two as near). 0..1.
double bleu(const std::vector<CaptionPair>&, int n = 4);

// ROUGE-L (Lin 2004): mean over captions of F with beta 1.2 of the longest common subsequence; the best precision and the
// best recall over the references. 0..1.
double rouge_l(const std::vector<CaptionPair>&);
std::vector<double> rouge_l_each(const std::vector<CaptionPair>&);  // of each caption

// CIDEr-D (arXiv 1411.5726), n = 1..4, sigma 6, document frequencies from these references. Mean over captions, 0..10.
double cider_d(const std::vector<CaptionPair>&);
std::vector<double> cider_d_each(const std::vector<CaptionPair>&);  // of each caption

// True where `concept` (its leading article left out) stands in `said` word by word. Korean nouns carry particles, so there
// the last word of the concept may be the beginning of a longer one.
bool names(const WordList& said, const WordList& concept_words, bool korean);
WordList without_article(WordList);  // a, an, the

}  // namespace duet
