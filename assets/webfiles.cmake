# Writes OUT, a C++ file that implements infer/webfiles.h with every file of the folder WEB.
#   cmake -DWEB=assets/web -DOUT=build/webfiles.cc -P assets/webfiles.cmake
cmake_policy(VERSION 3.25)
set(mime.html "text/html; charset=utf-8")
set(mime.css "text/css; charset=utf-8")
set(mime.js "text/javascript; charset=utf-8")
set(mime.svg "image/svg+xml")

file(GLOB files RELATIVE ${WEB} ${WEB}/*)
list(SORT files)
if(NOT "index.html" IN_LIST files)
  message(FATAL_ERROR "${WEB} holds no index.html, which the page starts from")
endif()
set(rows "")
foreach(f ${files})
  string(REGEX MATCH "[^.]+$" kind ${f})
  if(NOT f MATCHES "^[a-z0-9-]+\\.[a-z]+$" OR NOT DEFINED mime.${kind})
    message(FATAL_ERROR "${WEB}/${f}: the page is made of lower-case names that end in .html, .css, .js or .svg")
  endif()
  file(SIZE ${WEB}/${f} size)
  file(SHA256 ${WEB}/${f} hash)
  string(SUBSTRING ${hash} 0 16 hash)
  file(READ ${WEB}/${f} hex HEX)
  # Every byte as \xNN, thirty to a line: no byte of a file can mean anything to the compiler.
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${hex}")
  string(REPEAT "." 120 line)
  string(REGEX REPLACE "(${line})" "\\1\"\n     \"" bytes "${bytes}")
  set(path /${f})
  if(f STREQUAL "index.html")
    set(path /)
  endif()
  string(APPEND rows "    {\"${path}\", \"${mime.${kind}}\",\n     {\"${bytes}\", ${size}},\n     \"\\\"${hash}\\\"\"},\n")
endforeach()
file(WRITE ${OUT} "// Made by assets/webfiles.cmake from assets/web.
#include \"infer/webfiles.h\"

namespace duet {
namespace {

const WebFile kFiles[] = {
${rows}};

}  // namespace

const WebFile* web_file(std::string_view path) {
  if (path == \"/index.html\") path = \"/\";
  for (const WebFile& f : kFiles)
    if (f.path == path) return &f;
  return nullptr;
}

}  // namespace duet
")
