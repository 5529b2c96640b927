import Foundation
package import Storage
import SwiftProtobuf

/// A file of scalars that TensorBoard shows.
///
/// Records as TensorFlow writes them: length (UInt64), masked CRC-32C of the length, an `Event`
/// message, masked CRC-32C of the message; all little-endian.
package struct EventFile {
  private let path: String

  /// Creates a new event file in `directory`.
  ///
  /// - Parameters:
  ///   - directory: Created when missing. Event files of earlier processes of the run are removed:
  ///     the new one repeats what they held.
  ///   - time: Seconds since 1970, part of the name as TensorBoard expects it.
  /// - Throws: `Failure` of kind `inputOutput`.
  package init(directory: String, time: Double) throws(Failure) {
    try Files.createDirectory(directory, makingParents: false)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
    for name in names where name.hasPrefix("events.out.tfevents.") {
      try Files.remove("\(directory)/\(name)")
    }
    path = "\(directory)/events.out.tfevents.\(Int(time)).inverse"
    var first = Inverse_Event()
    first.wallTime = time
    first.fileVersion = "brain.Event:2"
    try append(first)
  }

  /// Appends scalars of one step.
  ///
  /// - Throws: `Failure` of kind `inputOutput`.
  package func append(
    _ scalars: [(tag: String, value: Double)], step: Int, time: Double
  ) throws(Failure) {
    var event = Inverse_Event()
    event.wallTime = time
    event.step = Int64(step)
    event.summary.value = scalars.map { scalar in
      var value = Inverse_Summary.Value()
      value.tag = scalar.tag
      value.simpleValue = Float(scalar.value)
      return value
    }
    try append(event)
  }

  private func append(_ event: Inverse_Event) throws(Failure) {
    guard let message: [UInt8] = try? event.serializedBytes() else {
      throw .software("cannot encode an event for \(path)")
    }
    let record = Self.record(message)
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .inputOutput("write", path, errno: errno) }
    defer { close(descriptor) }
    let code = unsafe record.withUnsafeBytes { unsafe writeAll(descriptor, $0, at: nil) }
    guard code == 0 else { throw .inputOutput("write", path, errno: code) }
  }

  /// A message with its frame.
  package static func record(_ message: [UInt8]) -> [UInt8] {
    func bytes(_ value: some FixedWidthInteger) -> [UInt8] {
      (0..<value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let length = bytes(UInt64(message.count))
    return length + bytes(maskedChecksum(length)) + message + bytes(maskedChecksum(message))
  }

  /// The CRC-32C, rotated and shifted as the record format asks.
  package static func maskedChecksum(_ bytes: [UInt8]) -> UInt32 {
    let checksum = castagnoli(bytes)
    return (checksum >> 15 | checksum << 17) &+ 0xa282_ead8
  }

  /// CRC-32C (Castagnoli), bit by bit: records are short and rare.
  package static func castagnoli(_ bytes: [UInt8]) -> UInt32 {
    var checksum = ~UInt32(0)
    for byte in bytes {
      checksum ^= UInt32(byte)
      for _ in 0..<8 {
        checksum = checksum & 1 == 1 ? checksum >> 1 ^ 0x82f6_3b78 : checksum >> 1
      }
    }
    return ~checksum
  }
}
