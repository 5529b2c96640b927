// swift-tools-version: 6.2
import PackageDescription

// Modules and their arrows are described in docs/decisions/0001-modules.md; an arrow means
// "imports", and the checks refuse an import that has no arrow here.

/// Settings of every Swift target of this package.
let common: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Swift emits fused multiply-adds and 256-bit vectors only when told that the processor has
/// them; without this the training loops are about twelve times slower.
#if arch(x86_64)
  let vectorised: [SwiftSetting] = [.unsafeFlags(["-Xcc", "-march=x86-64-v3"])]
#else
  let vectorised: [SwiftSetting] = []
#endif

/// A module of the program, or the program itself.
func target(
  _ name: String, _ dependencies: [Target.Dependency] = [], exclude: [String] = [],
  extra: [SwiftSetting] = []
) -> Target {
  .target(
    name: name, dependencies: dependencies, exclude: exclude, swiftSettings: common + extra)
}

/// The tests of the module `name`, with everything that module may import.
func tests(
  _ name: String, _ dependencies: [Target.Dependency] = [], extra: [SwiftSetting] = []
) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.init(stringLiteral: name)] + dependencies,
    swiftSettings: common + extra)
}

let package = Package(
  name: "inverse",
  products: [.executable(name: "inverse", targets: ["inverse"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C libraries.
    .systemLibrary(
      name: "CMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev", "openmpi-bin"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-serial-dev"])]),
    .target(name: "CBuiltins"),
    .target(name: "CMappedFiles"),
    .target(name: "CProcessor"),
    .target(name: "CSharedMemory"),

    // Leaves: they import nothing of ours but C.
    target("Storage", ["CMappedFiles", "CProcessor"]),
    target("Randomness", ["CBuiltins"], extra: vectorised),
    target("Fabric"),

    // Arithmetic and its distribution.
    target("Kernels", ["COpenBLAS", "CBuiltins"], extra: vectorised),
    target("MPI", ["CMPI", "CSharedMemory", "Fabric"]),
    target("Sharding", ["Kernels", "Fabric"]),
    target("Objectives", ["CBuiltins"], extra: vectorised),
    target("Backbones", ["Kernels", "Sharding", "Randomness"]),

    // Data in, figures and files out.
    target("Interactions", ["Randomness", "Storage"]),
    target("Evaluation", ["Interactions", "Fabric", "Storage", "Randomness"]),
    target("Checkpoints", ["Kernels", "Fabric", "Storage"]),

    // The main job and its command.
    target(
      "Training",
      [
        "Backbones", "Objectives", "Interactions", "Sharding", "Evaluation", "Checkpoints",
        "Fabric", "Kernels", "Storage",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ],
      exclude: ["Events/event.proto"]),
    .executableTarget(
      name: "inverse",
      dependencies: [
        "Training", "Interactions", "Evaluation", "Fabric", "Kernels", "MPI", "Storage",
        "CProcessor",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        "Yams",
      ],
      swiftSettings: common),

    // Tests. RankChecks is what the tests start under mpirun.
    .executableTarget(
      name: "RankChecks", dependencies: ["MPI", "Fabric", "TestSupport"],
      path: "Tests/RankChecks",
      swiftSettings: common),
    // Counts allocations. A program that links it has its allocator replaced, so only tests may.
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    .target(
      name: "TestSupport", dependencies: ["Fabric", "CAllocations"], path: "Tests/TestSupport",
      swiftSettings: common),
    tests("Storage"),
    tests("Randomness"),
    tests("Fabric", ["TestSupport"]),
    tests("MPI", ["Fabric", "TestSupport", "RankChecks"]),
    // They pass vectors by value, whose calling convention depends on the registers there are.
    tests("Kernels", ["Fabric"], extra: vectorised),
    tests("Sharding", ["Kernels", "Fabric", "TestSupport"]),
    tests("Objectives", ["Kernels"], extra: vectorised),
    tests("Backbones", ["Kernels", "Sharding", "Randomness", "Fabric"]),
    tests("Interactions", ["Randomness", "Storage", "TestSupport"]),
    tests("Evaluation", ["Interactions", "Fabric", "Storage", "TestSupport"]),
    tests("Checkpoints", ["Kernels", "Fabric", "Storage", "TestSupport"]),
    tests(
      "Training",
      [
        "Backbones", "Objectives", "Interactions", "Sharding", "Evaluation", "Checkpoints",
        "Fabric", "Kernels", "Storage", "TestSupport",
        .product(name: "Logging", package: "swift-log"),
      ]),
    .testTarget(
      name: "CommandTests",
      dependencies: ["inverse", "Fabric", "Storage", "TestSupport", "RankChecks"],
      swiftSettings: common),
  ]
)

// Harnesses that feed files from nobody knows where to the readers. They need libFuzzer, so they
// are part of the package only when Tests/Fuzz/run.sh asks for them.
if Context.environment["INVERSE_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        "Training", "Interactions", "Evaluation", "Checkpoints", "Fabric", "Kernels", "Storage",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        "Yams",
      ],
      path: "Tests/Fuzz/Harness",
      swiftSettings: common))
}
