# Shared by scripts/test and scripts/demo: sets up a fresh Debian machine and builds. To be sourced by a
# POSIX shell from the root of the repository; everything in it may be run again and then does nothing.

# What the build needs (cmake/Dependencies.cmake) and what the scripts call.
build_packages="g++ cmake ninja-build ccache python3 ca-certificates
  libtorch-dev libdnnl-dev libopenblas0-openmp libonnx-dev libprotobuf-dev protobuf-compiler
  libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libmatio-dev libhdf5-dev zlib1g-dev libssl-dev
  libcli11-dev nlohmann-json3-dev libspdlog-dev libfmt-dev libeigen3-dev libboost-dev
  libgtest-dev libbenchmark-dev libjs-chart.js"
test_packages="python3-venv python3-dev chromium"

say() { printf '\n== %s\n' "$*"; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    echo "this needs root and there is no sudo; run as root: $*" >&2
    return 1
  fi
}

# install_packages NAMES...: those that are missing, with apt. Elsewhere than on Debian it only says so.
install_packages() {
  if ! command -v apt-get >/dev/null; then
    echo "not a Debian system: the equivalents of these packages must be there already: $*" >&2
    return 0
  fi
  missing=""
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' ||
      missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  say "installing:$missing"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -q update
  # shellcheck disable=SC2086  # a list of words
  as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -q install -y --no-install-recommends \
    -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io $missing >/dev/null
}

# How many compilers at once: one a core, but each may take 1.5 GB (LibTorch's headers).
build_jobs() {
  cores=$(nproc)
  fits=$(awk '/^MemAvailable:/ { print int($2 / 1572864) }' /proc/meminfo)
  [ "$fits" -ge 1 ] || fits=1
  if [ "$cores" -lt "$fits" ]; then echo "$cores"; else echo "$fits"; fi
}

# make_venv REQUIREMENTS: .venv with those packages; fetched again only when the file changes.
make_venv() {
  if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then  # none, or one that was stopped halfway
    say "making .venv"
    rm -rf .venv
    python3 -m venv .venv
  fi
  if ! cmp -s "$1" ".venv/installed-$(basename "$1")"; then
    say "installing the Python packages of $1"
    .venv/bin/python -m pip install -q --disable-pip-version-check -r "$1" || return 1
    cp "$1" ".venv/installed-$(basename "$1")"
  fi
}

# build FOLDER TARGET...: configures FOLDER once with the preset `release`, then builds the targets.
# QUBOPRUNE_TORCH=python takes LibTorch from the torch of .venv instead of Debian's.
build() {
  folder=$1
  shift
  torch=${QUBOPRUNE_TORCH:-debian}
  # Also anew where the folder was configured by hand, for the other LibTorch.
  if [ ! -f "$folder/build.ninja" ] || ! grep -q "^QUBOPRUNE_TORCH:[A-Z]*=$torch$" "$folder/CMakeCache.txt"; then
    say "configuring $folder"
    configure "$folder" "-DQUBOPRUNE_TORCH=$torch" "-DQUBOPRUNE_TORCH_PYTHON=$PWD/.venv/bin/python" || return 1
  fi
  say "building $* in $folder"
  cmake --build "$folder" -j "$(build_jobs)" --target "$@"
}

# configure FOLDER SETTING...: says something only where it fails.
configure() {
  folder=$1
  shift
  ! command -v ccache >/dev/null || set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
  log=$(mktemp)
  failed=0
  cmake --preset release -B "$folder" "$@" >"$log" 2>&1 || failed=1
  [ "$failed" -eq 0 ] || cat "$log" >&2
  rm -f "$log"
  return "$failed"
}

# The folder of a build: one for each source of LibTorch.
build_folder() {
  case "${QUBOPRUNE_TORCH:-debian}" in
    debian) echo build/release ;;
    python) echo build/release-python-torch ;;
    *)
      echo "QUBOPRUNE_TORCH is '$QUBOPRUNE_TORCH': use debian or python" >&2
      return 2
      ;;
  esac
}

# install_python_package: into .venv, with the program; compiled a second time by pip, out of ccache: for that the
# compiler must have the name that CMake gives it by itself, not the one that Python was built with.
install_python_package() {
  set -- --config-settings=cmake.define.QUBOPRUNE_STRICT=ON  # Debian's pip doesn't know the short -C yet
  [ "${QUBOPRUNE_TORCH:-debian}" = debian ] ||
    set -- "$@" --config-settings=build-dir=build/python-torch --config-settings=cmake.define.QUBOPRUNE_TORCH=python \
      --config-settings="cmake.define.QUBOPRUNE_TORCH_PYTHON=$PWD/.venv/bin/python"
  launcher=""
  command -v ccache >/dev/null && launcher=ccache
  CXX=${CXX:-c++} CMAKE_CXX_COMPILER_LAUNCHER=$launcher CMAKE_BUILD_PARALLEL_LEVEL=$(build_jobs) \
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-build-isolation --no-deps . "$@"
}
