import Foundation
import Storage

/// Working space in a file without a name: the operating system may write it out when memory is
/// short, and it vanishes with the process.
///
/// The elements start as zero bytes and live as long as this object.
@safe
final class ScratchBuffer<Element: BitwiseCopyable> {
  let elements: UnsafeMutableBufferPointer<Element>
  private let file: MappedFile

  /// Reserves space for `count` elements.
  ///
  /// - Parameters:
  ///   - count: At least 0.
  ///   - directory: Where the file is created; its name is gone at once.
  /// - Throws: `Failure` of kind `inputOutput`, for instance when the disk is full.
  init(count: Int, in directory: String) throws(Failure) {
    let path = "\(directory)/scratch"
    file = try MappedFile(creating: path, count: count * MemoryLayout<Element>.stride)
    unsafe elements = unsafe file.bytes.bindMemory(to: Element.self)
    try Files.remove(path)
  }
}
