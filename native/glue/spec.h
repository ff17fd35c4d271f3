// SPDX-License-Identifier: MIT
// A definition: NativeSpec of lib/native.ts as an hf_spec that owns what it points to.
#ifndef HF_GLUE_SPEC_H
#define HF_GLUE_SPEC_H

#include "convert.h"

namespace glue {

class Spec {
public:
  // False with a pending exception where a value has the wrong type.
  bool Read(Napi::Env env, Napi::Value value);
  const hf_spec *get() const { return &spec_; }

private:
  void ReadChoices(Reader &read, Napi::Object object);
  void ReadTimes(Reader &read, Napi::Object object);
  void ReadUser(Reader &read, Napi::Object object);
  void ReadResources(Reader &read, Napi::Object object);
  void ReadLists(Reader &read, Napi::Object object);

  hf_spec spec_;
  std::string log_file_, cwd_;
  std::vector<std::string> argv_, env_;
  std::vector<const char *> argv_pointers_, env_pointers_;
};

} // namespace glue

#endif
