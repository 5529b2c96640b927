# Sourced by the scripts of this directory: finds what building and running need, installs what is
# missing, and sets what Open MPI wants to know in containers.

# Stops with one line.
fail() {
  echo "inverse: error: $*" >&2
  exit 1
}

command -v swift >/dev/null 2>&1 || fail \
  "no Swift toolchain on the PATH; get Swift 6.2 or newer from https://www.swift.org/install/linux"
swift_version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\.[0-9]*\).*/\1/p' | head -n 1)
case "$swift_version" in
  6.0 | 6.1 | [0-5].*) fail \
    "Swift $swift_version is too old; get 6.2 or newer from https://www.swift.org/install/linux" ;;
esac

# The serial OpenBLAS, unless another one is there: ranks are the only parallelism.
blas=libopenblas-serial-dev
if pkg-config --exists openblas 2>/dev/null; then blas=""; fi
missing=""
for package in libopenmpi-dev openmpi-bin $blas pkg-config; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
if [ -n "$missing" ]; then
  command -v apt-get >/dev/null 2>&1 || fail "please install$missing; this is no Debian or Ubuntu"
  as_root=""
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || fail "please install$missing, or run this as root"
    as_root="sudo"
  fi
  echo "installing$missing"
  $as_root apt-get update -qq >/dev/null || fail "apt-get update failed: no package manager network?"
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    $missing >/dev/null || fail "could not install$missing"
fi

# The OpenBLAS with threads would start one per core when it is loaded, which spin for a while.
export OPENBLAS_NUM_THREADS=1
# Open MPI refuses to run as root, which is what one is in most containers, unless told twice.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Ranks beyond the number of cores are fine for tests and for trying things out.
export OMPI_MCA_rmaps_base_oversubscribe=1
# Without the right to trace siblings, which containers lack, single-copy transfers only warn.
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# mpirun and its daemons ask each other for signs of life after half a minute of silence, not five.
export OMPI_MCA_oob_tcp_keepalive_time=30 OMPI_MCA_oob_tcp_keepalive_intvl=5 OMPI_MCA_oob_tcp_keepalive_probes=6
