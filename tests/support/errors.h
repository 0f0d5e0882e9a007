// What a call that must fail says. Use with gmock's matchers: EXPECT_THAT(usage_error([&] { ... }), HasSubstr("line
// 3")).
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "vit/core/check.h"

namespace vit::test {

/// The message of the vit::Error that `call` throws; a test failure when it throws none or another kind.
template <class Call>
std::string error_of_kind(ErrorKind kind, const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "expected a vit::Error, got none";
  return {};
}

template <class Call>
std::string usage_error(const Call& call) {
  return error_of_kind(ErrorKind::kUsage, call);
}
template <class Call>
std::string failure(const Call& call) {
  return error_of_kind(ErrorKind::kFailure, call);
}

}  // namespace vit::test
