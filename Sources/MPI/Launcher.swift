/// What the environment says about who started this process.
///
/// Launchers announce the size of the job in the environment. The innermost one counts: `mpirun`
/// of Open MPI sets `OMPI_COMM_WORLD_SIZE`, that of MPICH and Intel MPI `PMI_SIZE`, `srun` sets
/// `SLURM_STEP_NUM_TASKS`, and a Slurm allocation `SLURM_NTASKS`. A batch script has the last one
/// too, although it is one process: a program that is meant to run on many ranks and sits there
/// alone was most likely meant to be started with `srun` or `mpirun`.
package enum Launcher {
  /// Whether a launcher started this process, so that MPI must be initialised even for one rank.
  package static func isPresent(in environment: [String: String]) -> Bool {
    if ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMI_RANK", "PMIX_RANK"].contains(where: {
      environment[$0] != nil
    }) {
      return true
    }
    return announcedSizes(in: environment).contains { $0.size > 1 }
  }

  /// Why the world that MPI sees is not the one the launcher started, or `nil` when it is.
  ///
  /// Ranks started by the `mpirun` of another MPI library each see a world of their own, and would
  /// all do the whole work and overwrite each other's files.
  ///
  /// - Parameters:
  ///   - environment: The environment of the process.
  ///   - worldSize: The number of ranks MPI sees.
  /// - Returns: One line that says what is wrong and what to do.
  package static func disagreement(
    environment: [String: String], worldSize: Int
  ) -> String? {
    let announced = announcedSizes(in: environment)
    guard let first = announced.first, !announced.contains(where: { $0.size == worldSize }) else {
      return nil
    }
    return "the launcher announced \(first.size) ranks (\(first.variable)=\(first.size)) but MPI "
      + "sees \(worldSize): start the program with the mpirun of the MPI library it was built with "
      + "(Open MPI), or with srun --mpi=pmix; to run it alone, unset \(first.variable)"
  }

  private static func announcedSizes(
    in environment: [String: String]
  ) -> [(variable: String, size: Int)] {
    func size(_ variable: String) -> (variable: String, size: Int)? {
      guard let text = environment[variable], let size = Int(text), size > 0 else { return nil }
      return (variable, size)
    }
    let direct = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"].compactMap(size)
    // An mpirun inside a Slurm step passes the step's variables on to its ranks.
    if !direct.isEmpty { return direct }
    let step = environment["SLURM_PROCID"] == nil ? nil : size("SLURM_STEP_NUM_TASKS")
    return [step ?? size("SLURM_NTASKS")].compactMap { $0 }
  }
}

/// MPI does not see the ranks that the launcher started.
package struct LauncherMismatch: Error, Equatable, CustomStringConvertible {
  package let description: String
}
