import Fabric
import Foundation
import MPI
import Training

/// Describes the machines a job runs on.
enum JobEnvironment {
  /// The same description on every rank.
  static func describe(
    _ group: any ProcessGroup, tables: String
  ) -> RunDirectory.Environment {
    RunDirectory.Environment(
      version: ProgramVersion.current, ranks: group.size, hosts: group.hosts,
      processor: processor(), mpi: group is SoloGroup ? "none" : libraryVersion(), tables: tables,
      command: CommandLine.arguments, started: Date().timeIntervalSince1970)
  }

  private static func processor() -> String {
    let text = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("model name") }
    return line?.split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespaces) }
      ?? "unknown"
  }
}
