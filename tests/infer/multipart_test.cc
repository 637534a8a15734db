#include "infer/multipart.h"

#include <gtest/gtest.h>

#include "infer/base64.h"
#include "kernels/error.h"
#include "kernels/files.h"
#include "kernels/random.h"

namespace duet {
namespace {

TEST(Multipart, PartsAndDamage) {
  const std::string type = "multipart/form-data; boundary=\"XX\"";
  const auto parts = parse_multipart(
      type,
      "--XX\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n--XX\r\n"
      "Content-Disposition: form-data; name=f; filename=\"x \\\"y.png\"\r\nContent-Type: image/PNG\r\n\r\n\r\n--XX--");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0].body, "1\r\n2");
  EXPECT_FALSE(parts[0].file);
  EXPECT_EQ(parts[1].filename, "x \"y.png");
  EXPECT_EQ(parts[1].type, "image/png");
  EXPECT_EQ(parts[1].body, "");
  for (const std::string body :
       {"", "--XX", "--XX\r\n", "--XX\r\n\r\n\r\n--XX--", "--XX\r\nContent-Disposition: form-data\r\n\r\nx\r\n--XX--",
        "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nx", "--XY\r\n"})
    EXPECT_THROW(parse_multipart(type, body), Error) << body;
  EXPECT_THROW(parse_multipart("multipart/form-data", "--XX--"), Error);
  std::string many;
  for (int i = 0; i < 70; ++i) many += "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n";
  EXPECT_THROW(parse_multipart(type, many + "--XX--"), Error);
}

TEST(Base64, ThereAndBack) {
  std::vector<uint8_t> b;
  for (int n = 0; n < 50; ++n) {
    EXPECT_EQ(from_base64(to_base64(b)), b);
    b.push_back(uint8_t(mix(3, uint64_t(n))));
  }
  EXPECT_EQ(to_base64(as_bytes("Man")), "TWFu");
  EXPECT_EQ(to_base64(as_bytes("Ma")), "TWE=");
  EXPECT_EQ(as_text(*from_base64("TWE")), "Ma");
  EXPECT_EQ(as_text(*from_base64("TW\r\nFu")), "Man");
  for (const char* bad : {"T", "TW=", "TWFu=", "T W", "TW-_", "=", "TWE=x"}) EXPECT_FALSE(from_base64(bad)) << bad;
}

}  // namespace
}  // namespace duet
