// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that what it depends on stays out of the program's. `package` access
// ends at its border, hence the modules it measures from inside are compiled here a second time,
// through symbolic links; whole runs are measured through the `inverse` command.

/// The settings of the main package.
let common: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// As in the main package: without fused multiply-adds no figure means anything.
#if arch(x86_64)
  let vectorised: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-march=x86-64-v3"])]
#else
  let vectorised: [SwiftSetting] = []
#endif

/// A module of this package, or one of the main package behind a symbolic link.
func target(
  _ name: String, _ dependencies: [Target.Dependency] = [], extra: [SwiftSetting] = []
) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: common + extra)
}

let package = Package(
  name: "benchmarks",
  products: [.executable(name: "bench", targets: ["bench"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // Links into the main package: keep dependencies and settings as they are there.
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-serial-dev"])]),
    .target(name: "CBuiltins"),
    .target(name: "CMappedFiles"),
    .target(name: "CProcessor"),
    target("Storage", ["CMappedFiles", "CProcessor"]),
    target("Randomness", ["CBuiltins"], extra: vectorised),
    target("Fabric"),
    target("Kernels", ["COpenBLAS", "CBuiltins"], extra: vectorised),
    target("Sharding", ["Kernels", "Fabric"]),
    target("Objectives", ["CBuiltins"], extra: vectorised),
    target("Interactions", ["Randomness", "Storage"]),
    target("Evaluation", ["Interactions", "Fabric", "Storage", "Randomness"]),

    // What is needed to measure: samples and reports, pictures, the machine's own peaks.
    target("Measuring", ["Storage"]),
    target("Drawing", ["Measuring"]),
    target("Peaks", ["Kernels", "CBuiltins"], extra: vectorised),
    .executableTarget(
      name: "bench",
      dependencies: [
        "Measuring", "Drawing", "Peaks", "Storage", "Randomness", "Fabric", "Kernels", "Sharding",
        "Objectives", "Interactions", "Evaluation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: common + vectorised),

    .testTarget(
      name: "MeasuringTests", dependencies: ["Measuring", "Storage"], swiftSettings: common),
    .testTarget(
      name: "DrawingTests", dependencies: ["Drawing", "Measuring"], swiftSettings: common),
  ]
)
