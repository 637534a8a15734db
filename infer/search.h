// Search by meaning: the pictures of a folder or a data set, embedded once, ranked by their cosine with a text or picture.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "fusion/model.h"
#include "vision/image.h"

namespace duet {

// A file given by name, or all pictures below a folder (has_picture_name), in order of name; hidden ones are left out.
std::vector<std::string> list_pictures(const std::string& file_or_folder);

// Pictures that can be looked at one by one.
struct Gallery {
  struct Item {
    std::string name;    // path, or "train/000000.tar: key"
    std::string label;   // what a contact sheet writes below it
    uint64_t stamp = 0;  // changes when the picture may have changed
  };
  std::vector<Item> items;
  std::function<Image(int64_t)> load;  // refuses a bad one
};
// DIR of a data set (its splits, or one of them), or any folder of pictures. Refuses one without pictures.
Gallery open_gallery(const std::string& dir, const std::string& split = "");

struct PictureIndex {
  Tensor rows;                      // (N,E) unit
  std::vector<int64_t> item;        // of each row, in the gallery
  std::vector<std::string> faults;  // one line for each picture that could not be read
  int64_t reused = 0;               // rows that came from the cache
};
// cache: a file that keeps the rows; stamps say which still hold. Empty: none. `maker` says which model made them in which
// precision: rows of another one are not used. A cache that cannot be read is made anew; one that cannot be written is let
// be.
PictureIndex index_gallery(const Model&, const std::string& maker, const Gallery&, const std::string& cache,
                           const std::function<void(int64_t done, int64_t of)>& progress = {});

struct Hit {
  int64_t item;
  float cosine;
};
std::vector<Hit> nearest(const PictureIndex&, const float* query, int64_t n);  // best first; ties by item

}  // namespace duet
