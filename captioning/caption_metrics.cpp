#include "captioning/caption_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <unordered_map>

#include "captioning/caption_words.h"
#include "vit/core/check.h"
#include "vit/core/parallel.h"

namespace captioning {

namespace {

constexpr size_t kOrders = 4;  ///< n-grams of 1 to 4 words

using Sentence = std::vector<int32_t>;
/// Numbers of words, from 1; 0 behind the last of a shorter one.
using Ngram = std::array<int32_t, kOrders>;
/// Sorted: sums are made in one order.
using Counts = std::map<Ngram, int64_t>;

size_t order_of(const Ngram& ngram) {
  size_t order = 1;
  while (order < kOrders && ngram[order] != 0) ++order;
  return order;
}

Counts count_ngrams(const Sentence& sentence) {
  Counts counts;
  for (size_t begin = 0; begin < sentence.size(); ++begin) {
    Ngram ngram{};
    for (size_t i = 0; i < kOrders && begin + i < sentence.size(); ++i) {
      ngram[i] = sentence[begin + i];
      ++counts[ngram];
    }
  }
  return counts;
}

/// A picture's captions, with words as numbers.
struct Picture {
  Sentence candidate;
  std::vector<Sentence> references;
  Counts candidate_counts;
  std::vector<Counts> reference_counts;
};

std::vector<Picture> read_pictures(const std::vector<std::string>& candidates,
                                   const std::vector<std::vector<std::string>>& references, const WordSplitter& split) {
  std::unordered_map<std::string, int32_t> numbers;
  const auto numbered = [&](const std::string& caption) {
    Sentence sentence;
    for (const std::string& word : split(caption))
      sentence.push_back(numbers.emplace(word, static_cast<int32_t>(numbers.size()) + 1).first->second);
    return sentence;
  };
  std::vector<Picture> pictures(candidates.size());
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (references[i].empty()) vit::fail_usage("picture ", i, " has no reference caption");
    pictures[i].candidate = numbered(candidates[i]);
    pictures[i].candidate_counts = count_ngrams(pictures[i].candidate);
    for (const std::string& reference : references[i]) {
      pictures[i].references.push_back(numbered(reference));
      pictures[i].reference_counts.push_back(count_ngrams(pictures[i].references.back()));
    }
  }
  return pictures;
}

// BLEU

/// What BLEU adds up.
struct Matches {
  int64_t length = 0, reference_length = 0;
  std::array<int64_t, kOrders> guessed{}, correct{};

  void add(const Matches& other) {
    length += other.length;
    reference_length += other.reference_length;
    for (size_t n = 0; n < kOrders; ++n) {
      guessed[n] += other.guessed[n];
      correct[n] += other.correct[n];
    }
  }

  /// With coco-caption's small numbers against divisions by zero.
  std::array<double, kOrders> bleu() const {
    constexpr double kSmall = 1e-9, kTiny = 1e-15;
    const double ratio = (static_cast<double>(length) + kTiny) / (static_cast<double>(reference_length) + kSmall);
    const double brevity = ratio < 1.0 ? std::exp(1.0 - 1.0 / ratio) : 1.0;
    std::array<double, kOrders> result{};
    double product = 1.0;
    for (size_t n = 0; n < kOrders; ++n) {
      product *= (static_cast<double>(correct[n]) + kTiny) / (static_cast<double>(guessed[n]) + kSmall);
      result[n] = std::pow(product, 1.0 / static_cast<double>(n + 1)) * brevity;
    }
    return result;
  }
};

Matches match(const Picture& picture) {
  Matches matches;
  matches.length = static_cast<int64_t>(picture.candidate.size());
  // The reference length that is closest; of two the shorter.
  std::pair<int64_t, int64_t> closest{-1, 0};
  for (const Sentence& reference : picture.references) {
    const auto length = static_cast<int64_t>(reference.size());
    const std::pair<int64_t, int64_t> here{std::abs(length - matches.length), length};
    if (closest.first < 0 || here < closest) closest = here;
  }
  matches.reference_length = closest.second;
  for (size_t n = 0; n < kOrders; ++n)
    matches.guessed[n] = std::max<int64_t>(0, matches.length - static_cast<int64_t>(n));
  for (const auto& [ngram, count] : picture.candidate_counts) {
    int64_t most = 0;
    for (const Counts& counts : picture.reference_counts) {
      const auto found = counts.find(ngram);
      if (found != counts.end()) most = std::max(most, found->second);
    }
    matches.correct[order_of(ngram) - 1] += std::min(most, count);
  }
  return matches;
}

// ROUGE-L

/// Length of the longest common subsequence.
size_t common_length(const Sentence& a, const Sentence& b) {
  std::vector<size_t> row(b.size() + 1, 0);
  for (int32_t word : a) {
    size_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

/// F of the best precision and the best recall, whichever references these are of.
double rouge_l(const Picture& picture) {
  constexpr double kBeta2 = 1.2 * 1.2;
  double precision = 0.0, recall = 0.0;
  for (const Sentence& reference : picture.references) {
    if (reference.empty() || picture.candidate.empty()) continue;
    const auto common = static_cast<double>(common_length(reference, picture.candidate));
    precision = std::max(precision, common / static_cast<double>(picture.candidate.size()));
    recall = std::max(recall, common / static_cast<double>(reference.size()));
  }
  if (precision == 0.0 || recall == 0.0) return 0.0;
  return (1.0 + kBeta2) * precision * recall / (recall + kBeta2 * precision);
}

// CIDEr

struct NgramHash {
  size_t operator()(const Ngram& ngram) const {
    uint64_t hash = 0;
    for (int32_t word : ngram) hash = (hash ^ static_cast<uint64_t>(word)) * 0x9E3779B97F4A7C15u + (hash >> 29);
    return static_cast<size_t>(hash);
  }
};
/// Pictures in whose references an n-gram stands.
using Frequencies = std::unordered_map<Ngram, int64_t, NgramHash>;

Frequencies document_frequencies(const std::vector<Picture>& pictures) {
  Frequencies frequencies;
  for (const Picture& picture : pictures) {
    Counts all;
    for (const Counts& counts : picture.reference_counts)
      for (const auto& [ngram, count] : counts) all[ngram] = 1;
    for (const auto& [ngram, one] : all) frequencies[ngram] += one;
  }
  return frequencies;
}

/// A sentence by the weights of its n-grams.
struct Weighted {
  std::array<std::map<Ngram, double>, kOrders> weights;
  std::array<double, kOrders> norms{};
  int64_t words = 0;
};

Weighted weigh(const Sentence& sentence, const Counts& counts, const Frequencies& frequencies, double log_pictures) {
  Weighted result;
  result.words = static_cast<int64_t>(sentence.size());
  for (const auto& [ngram, count] : counts) {
    const auto found = frequencies.find(ngram);
    const double frequency = found == frequencies.end() ? 1.0 : static_cast<double>(found->second);
    const double weight = static_cast<double>(count) * (log_pictures - std::log(std::max(1.0, frequency)));
    result.weights[order_of(ngram) - 1][ngram] = weight;
    result.norms[order_of(ngram) - 1] += weight * weight;
  }
  for (double& norm : result.norms) norm = std::sqrt(norm);
  return result;
}

double length_penalty(int64_t difference) {
  constexpr double kSigma = 6.0;
  const auto delta = static_cast<double>(difference);
  return std::exp(-delta * delta / (2.0 * kSigma * kSigma));
}

/// Sums of the cosines of all orders, plain and with the candidate's weights clipped to the reference's.
std::pair<double, double> similarity(const Weighted& candidate, const Weighted& reference) {
  std::pair<double, double> sum{0.0, 0.0};
  for (size_t n = 0; n < kOrders; ++n) {
    double plain = 0.0, clipped = 0.0;
    for (const auto& [ngram, weight] : candidate.weights[n]) {
      const auto found = reference.weights[n].find(ngram);
      if (found == reference.weights[n].end()) continue;
      plain += weight * found->second;
      clipped += std::min(weight, found->second) * found->second;
    }
    const double norms = candidate.norms[n] * reference.norms[n];
    if (norms == 0.0) continue;  // then both sums are 0
    sum.first += plain / norms;
    sum.second += clipped / norms;
  }
  return sum;
}

void score_cider(const Picture& picture, const Frequencies& frequencies, double log_pictures, CaptionScores& scores) {
  const Weighted candidate = weigh(picture.candidate, picture.candidate_counts, frequencies, log_pictures);
  for (size_t i = 0; i < picture.references.size(); ++i) {
    const Weighted reference = weigh(picture.references[i], picture.reference_counts[i], frequencies, log_pictures);
    const auto [plain, clipped] = similarity(candidate, reference);
    scores.cider_plain += plain;
    scores.cider_d += clipped * length_penalty(candidate.words - reference.words);
  }
  const double scale = 10.0 / static_cast<double>(kOrders * picture.references.size());
  scores.cider_plain *= scale;
  scores.cider_d *= scale;
  scores.cider = scores.cider_d;
}

void set_bleu(const Matches& matches, CaptionScores& scores) {
  const std::array<double, kOrders> bleu = matches.bleu();
  scores.bleu1 = bleu[0];
  scores.bleu2 = bleu[1];
  scores.bleu3 = bleu[2];
  scores.bleu4 = bleu[3];
}

}  // namespace

std::array<std::pair<const char*, double>, CaptionScores::kCount> CaptionScores::figures() const {
  return {{{"bleu1", bleu1},
           {"bleu2", bleu2},
           {"bleu3", bleu3},
           {"bleu4", bleu4},
           {"rouge_l", rouge_l},
           {"cider", cider},
           {"cider_d", cider_d},
           {"cider_plain", cider_plain}}};
}

CaptionMetrics caption_metrics(const std::vector<std::string>& candidates,
                               const std::vector<std::vector<std::string>>& references, const WordSplitter& split) {
  if (candidates.size() != references.size())
    vit::fail_usage(candidates.size(), " captions, but references of ", references.size(), " pictures");
  if (candidates.empty()) vit::fail_usage("no captions to judge");
  const std::vector<Picture> pictures = read_pictures(candidates, references, split);
  const Frequencies frequencies = document_frequencies(pictures);
  const auto count = static_cast<double>(pictures.size());
  const double log_pictures = std::log(count);

  CaptionMetrics metrics;
  metrics.images.resize(pictures.size());
  std::vector<Matches> matches(pictures.size());
  vit::parallel_for(static_cast<int64_t>(pictures.size()), [&](int64_t part) {
    const auto i = static_cast<size_t>(part);
    matches[i] = match(pictures[i]);
    set_bleu(matches[i], metrics.images[i]);
    metrics.images[i].rouge_l = rouge_l(pictures[i]);
    score_cider(pictures[i], frequencies, log_pictures, metrics.images[i]);
  });

  Matches all;
  for (size_t i = 0; i < pictures.size(); ++i) {
    all.add(matches[i]);
    metrics.corpus.rouge_l += metrics.images[i].rouge_l / count;
    metrics.corpus.cider += metrics.images[i].cider / count;
    metrics.corpus.cider_d += metrics.images[i].cider_d / count;
    metrics.corpus.cider_plain += metrics.images[i].cider_plain / count;
  }
  set_bleu(all, metrics.corpus);
  return metrics;
}

}  // namespace captioning
