// How far a set of drawn pictures is from a set of true ones, by the fixed numbers of infer/picturefeature.h.
// Values depend on that feature, so they compare models with each other and with true pictures, never with papers.
#pragma once
#include <span>
#include <vector>

#include "infer/picturefeature.h"

namespace duet {

using FeatureSet = std::vector<PictureFeature>;

// Frechet distance of two Gaussians with the sets' means and covariances (over n - 1; arXiv 1706.08500):
//   |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2)
// It is biased upwards for small sets: compare it with that of as many true pictures.
class FrechetReference {
 public:
  explicit FrechetReference(std::span<const PictureFeature>);  // at least two
  double distance(std::span<const PictureFeature>) const;      // at least two

 private:
  PictureFeature mean_;
  std::vector<double> root_;  // (D,D) of the covariance
  double trace_;
};

// Kernel distance (arXiv 1801.01401): the unbiased estimate of the squared maximum mean discrepancy with the kernel
// (x.y / D + 1)^3. About 0, also below it, for two samples of one source, whatever their sizes.
class KernelReference {
 public:
  explicit KernelReference(FeatureSet);  // at least two
  struct Sample {                        // what a drawn set's distance is computed of
    std::vector<double> among;           // (n,n) kernel of each two
    std::vector<double> to;              // (n) mean kernel to the reference
  };
  Sample sample(std::span<const PictureFeature>) const;
  // weights (n), how often each picture counts: all one, or a bootstrap's counts; two different pictures at least.
  // A picture is never compared with itself, so that a resampled set is no nearer to itself.
  double distance(const Sample&, std::span<const double> weights) const;
  double distance(std::span<const PictureFeature>) const;

 private:
  FeatureSet reference_;
  double among_ = 0;
};

// Which pictures of `of` lie in the manifold of `in`: within the distance from a picture of `in` to its k-th nearest other
// (arXiv 1904.06991). Precision: the share of drawn pictures in the true ones' manifold; recall: the reverse. k < in's size.
std::vector<char> in_manifold(std::span<const PictureFeature> of, std::span<const PictureFeature> in, int k = 3);

// Eigenvalues of a symmetric (n,n) matrix, unordered, by Jacobi's rotations; vectors, where given: (n,n), column i belongs to
// value i.
std::vector<double> eigenvalues(std::vector<double> symmetric, int n, std::vector<double>* vectors = nullptr);

}  // namespace duet
