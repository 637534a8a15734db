#include "infer/setdistance.h"

#include <algorithm>
#include <cmath>

#include "kernels/error.h"
#include "kernels/parallel.h"

namespace duet {
namespace {

constexpr int D = kFeatureSize;

double dot(const PictureFeature& a, const PictureFeature& b) {
  double sum = 0;
  for (int i = 0; i < D; ++i) sum += a[size_t(i)] * b[size_t(i)];
  return sum;
}
double kernel(const PictureFeature& a, const PictureFeature& b) {
  const double k = dot(a, b) / D + 1;
  return k * k * k;
}
double square_distance(const PictureFeature& a, const PictureFeature& b) {
  double sum = 0;
  for (int i = 0; i < D; ++i) sum += (a[size_t(i)] - b[size_t(i)]) * (a[size_t(i)] - b[size_t(i)]);
  return sum;
}

PictureFeature mean_of(std::span<const PictureFeature> set) {
  PictureFeature mean{};
  for (const auto& f : set)
    for (int i = 0; i < D; ++i) mean[size_t(i)] += f[size_t(i)] / double(set.size());
  return mean;
}

// Differences from the mean over the root of n - 1: with X (n,D) of these, the covariance is X^T X.
FeatureSet centred(std::span<const PictureFeature> set, const PictureFeature& mean) {
  FeatureSet x(set.begin(), set.end());
  const double scale = 1 / std::sqrt(double(set.size() - 1));
  for (auto& f : x)
    for (size_t i = 0; i < size_t(D); ++i) f[i] = (f[i] - mean[i]) * scale;
  return x;
}

double trace(const FeatureSet& x) {  // of X^T X
  double sum = 0;
  for (const auto& f : x) sum += dot(f, f);
  return sum;
}

std::vector<double> covariance(const FeatureSet& x) {
  std::vector<double> c(size_t(D) * D);
  for (const auto& f : x)
    for (size_t i = 0; i < size_t(D); ++i)
      for (size_t j = 0; j < size_t(D); ++j) c[i * D + j] += f[i] * f[j];
  return c;
}

// The eigenvalues of X^T X that are not zero by themselves: of it, or of X X^T where that is smaller.
std::vector<double> squared_sizes(const FeatureSet& x) {
  const size_t n = x.size();
  if (n >= size_t(D)) return eigenvalues(covariance(x), D);
  std::vector<double> c(n * n);
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j) c[i * n + j] = dot(x[i], x[j]);
  return eigenvalues(std::move(c), int(n));
}

}  // namespace

std::vector<double> eigenvalues(std::vector<double> m, int n, std::vector<double>* vectors) {
  constexpr int kMostSweeps = 60;
  const auto at = [&](int i, int j) -> double& { return m[size_t(i) * size_t(n) + size_t(j)]; };
  double size = 0;
  for (double x : m) size += x * x;
  if (vectors) {
    vectors->assign(size_t(n) * size_t(n), 0);
    for (int i = 0; i < n; ++i) (*vectors)[size_t(i) * size_t(n) + size_t(i)] = 1;
  }
  for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
    double off = 0;
    for (int i = 0; i < n; ++i)
      for (int j = i + 1; j < n; ++j) off += at(i, j) * at(i, j);
    if (off <= 1e-26 * size) break;
    for (int p = 0; p < n; ++p)
      for (int q = p + 1; q < n; ++q) {
        const double apq = at(p, q);
        if (apq * apq <= 1e-34 * size) continue;
        const double theta = (at(q, q) - at(p, p)) / (2 * apq);
        const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::hypot(theta, 1));
        const double c = 1 / std::hypot(t, 1), s = t * c;
        double *row_p = &at(p, 0), *row_q = &at(q, 0);
        for (int i = 0; i < n; ++i) {
          const double x = row_p[i], y = row_q[i];
          row_p[i] = c * x - s * y, row_q[i] = s * x + c * y;
        }
        const auto turn_columns = [&](double* of) {
          for (int i = 0; i < n; ++i) {
            double *x = of + size_t(i) * size_t(n) + p, *y = of + size_t(i) * size_t(n) + q;
            const double was = *x;
            *x = c * was - s * *y, *y = s * was + c * *y;
          }
        };
        turn_columns(m.data());
        if (vectors) turn_columns(vectors->data());
      }
  }
  std::vector<double> out;
  for (int i = 0; i < n; ++i) out.push_back(at(i, i));
  return out;
}

FrechetReference::FrechetReference(std::span<const PictureFeature> set) {
  CHECK(set.size() >= 2, "two pictures or more, not ", set.size());
  mean_ = mean_of(set);
  const FeatureSet x = centred(set, mean_);
  const auto c = covariance(x);
  trace_ = trace(x);
  std::vector<double> v;
  const auto values = eigenvalues(c, D, &v);
  root_.assign(size_t(D) * D, 0);
  for (int k = 0; k < D; ++k) {
    const double root = std::sqrt(std::max(values[size_t(k)], 0.0));
    for (int i = 0; i < D; ++i)
      for (int j = 0; j < D; ++j) root_[size_t(i * D + j)] += root * v[size_t(i * D + k)] * v[size_t(j * D + k)];
  }
}

double FrechetReference::distance(std::span<const PictureFeature> set) const {
  CHECK(set.size() >= 2, "two pictures or more, not ", set.size());
  const auto mean = mean_of(set);
  const FeatureSet x = centred(set, mean);
  FeatureSet turned(x.size());  // X C1^1/2, whose square is C1^1/2 C2 C1^1/2
  for (size_t n = 0; n < x.size(); ++n)
    for (size_t k = 0; k < size_t(D); ++k)
      for (size_t i = 0; i < size_t(D); ++i) turned[n][i] += x[n][k] * root_[k * D + i];
  double roots = 0;
  for (double v : squared_sizes(turned)) roots += std::sqrt(std::max(v, 0.0));
  return square_distance(mean, mean_) + trace_ + trace(x) - 2 * roots;
}

KernelReference::KernelReference(FeatureSet reference) : reference_(std::move(reference)) {
  const size_t n = reference_.size();
  CHECK(n >= 2, "two pictures or more, not ", n);
  std::vector<double> sums(n);
  parallel_for(int64_t(n), [&](int64_t i) {
    for (size_t j = 0; j < size_t(i); ++j) sums[size_t(i)] += kernel(reference_[size_t(i)], reference_[j]);
  });
  for (double s : sums) among_ += 2 * s / (double(n) * double(n - 1));
}

KernelReference::Sample KernelReference::sample(std::span<const PictureFeature> set) const {
  const size_t n = set.size();
  Sample s{std::vector<double>(n * n), std::vector<double>(n)};
  parallel_for(int64_t(n), [&](int64_t i) {
    for (size_t j = 0; j < n; ++j) s.among[size_t(i) * n + j] = kernel(set[size_t(i)], set[j]);
    for (const auto& r : reference_) s.to[size_t(i)] += kernel(set[size_t(i)], r) / double(reference_.size());
  });
  return s;
}

double KernelReference::distance(const Sample& s, std::span<const double> weights) const {
  const size_t n = s.to.size();
  CHECK(weights.size() == n, weights.size(), " weights of ", n);
  double among = 0, pairs = 0, to = 0, all = 0;
  for (size_t i = 0; i < n; ++i) {
    if (weights[i] == 0) continue;
    all += weights[i], to += weights[i] * s.to[i];
    for (size_t j = 0; j < n; ++j)
      if (j != i) among += weights[i] * weights[j] * s.among[i * n + j], pairs += weights[i] * weights[j];
  }
  CHECK(pairs > 0, "two different pictures");
  return among / pairs + among_ - 2 * to / all;
}

double KernelReference::distance(std::span<const PictureFeature> set) const {
  return distance(sample(set), std::vector<double>(set.size(), 1));
}

std::vector<char> in_manifold(std::span<const PictureFeature> of, std::span<const PictureFeature> in, int k) {
  CHECK(k >= 1 && size_t(k) < in.size(), "k ", k, " of ", in.size());
  std::vector<double> radius(in.size());  // squared
  parallel_for(int64_t(in.size()), [&](int64_t i) {
    std::vector<double> d;
    for (size_t j = 0; j < in.size(); ++j)
      if (j != size_t(i)) d.push_back(square_distance(in[size_t(i)], in[j]));
    std::nth_element(d.begin(), d.begin() + (k - 1), d.end());
    radius[size_t(i)] = d[size_t(k - 1)];
  });
  std::vector<char> inside(of.size());
  parallel_for(int64_t(of.size()), [&](int64_t i) {
    for (size_t j = 0; j < in.size() && !inside[size_t(i)]; ++j)
      inside[size_t(i)] = square_distance(of[size_t(i)], in[j]) <= radius[j];
  });
  return inside;
}

}  // namespace duet
