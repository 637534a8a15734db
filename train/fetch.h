// Debian packages as folders: downloaded and unpacked into a cache, without being installed and without root.
#pragma once
#include <string>

namespace duet {

struct Package {
  std::string name, version;
  std::string tree;  // the folder that holds its usr/share/...
};

// $XDG_CACHE_HOME/duet/packages, else ~/.cache/duet/packages.
std::string default_cache();

// CACHE/NAME/{version,tree/}: as left by an earlier call, without touching the network; else by `apt-get download`
// (which checks the signature chain) and `dpkg-deb -x`. When the machine's package lists are missing or old, lists of
// our own are fetched into CACHE. Safe to repeat and to interrupt: a package appears whole or not at all. Refuses with
// apt's own reason when there is no network or no such package.
Package fetch_package(const std::string& name, const std::string& cache);

}  // namespace duet
