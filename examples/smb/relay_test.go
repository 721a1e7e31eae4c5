//go:build linux

package main

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"unicode/utf16"
)

// Commands, of [MS-SMB2] 2.2.1, and what a SET_INFO sets, of [MS-FSCC] 2.4.
const (
	smbSession   = 0x01
	smbTree      = 0x03
	smbCreate    = 0x05
	smbClose     = 0x06
	smbWrite     = 0x09
	smbQueryInfo = 0x10
	smbSetInfo   = 0x11

	infoRename = 10
)

// packet is a request or an answer, its header of 64 bytes included.
type packet []byte

func (p packet) command() uint16 { return binary.LittleEndian.Uint16(p[12:]) }

// pending reports whether p only says that the answer comes later.
func (p packet) pending() bool {
	const statusPending = 0x103
	return binary.LittleEndian.Uint32(p[8:]) == statusPending
}

// renames reports whether p is a request to rename what was opened before.
func (p packet) renames() bool { return p.command() == smbSetInfo && p[64+3] == infoRename }

// deletes reports whether p is a request to open something to remove or rename it.
func (p packet) deletes() bool {
	const accessDelete = 0x10000
	return p.command() == smbCreate && binary.LittleEndian.Uint32(p[64+24:]) == accessDelete
}

// name is that of what p asks to be opened.
func (p packet) name() string {
	at := binary.LittleEndian.Uint16(p[64+44:])
	return slashed(p[at:][:binary.LittleEndian.Uint16(p[64+46:])])
}

// newName is the name that p asks for instead of another.
func (p packet) newName() string {
	info := p[binary.LittleEndian.Uint16(p[64+8:]):]
	return slashed(info[20:][:binary.LittleEndian.Uint32(info[16:])])
}

func slashed(wide []byte) string {
	name := make([]uint16, len(wide)/2)
	for i := range name {
		name[i] = binary.LittleEndian.Uint16(wide[2*i:])
	}
	return strings.ReplaceAll(string(utf16.Decode(name)), `\`, "/")
}

// refuse makes an answer an error.
func (p packet) refuse(status uint32) {
	binary.LittleEndian.PutUint32(p[8:], status)
	clear(p[64:])
	p[64] = 9 // the size of an error without data
}

// setWritten has a server say how much it has written.
func (p packet) setWritten(n uint32) { binary.LittleEndian.PutUint32(p[64+4:], n) }

// setGuest has a server say whether a session is a guest's, which has no keys.
func (p packet) setGuest(flag byte) { p[64+2] = flag }

// setEncrypted has a server say that a share is to be asked for encrypted, unsigned.
func (p packet) setEncrypted() {
	const signed, encrypted = 0x8, 0x8000
	binary.LittleEndian.PutUint32(p[16:], binary.LittleEndian.Uint32(p[16:])&^signed)
	binary.LittleEndian.PutUint32(p[64+4:], encrypted)
}

// relay is between clients and smbd, and shows requests and final answers on their way:
// whoever looks may change them, and hold them up.
func relay(t *testing.T, s *smbd, request, answer func(packet)) Server {
	t.Helper()
	through := s.Server
	through.Address = peer(t, func(client net.Conn) {
		server, err := net.Dial("tcp", s.Server.Address)
		if err != nil {
			return
		}
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			carry(server, client, request)
			_ = server.(*net.TCPConn).CloseWrite()
		}()
		carry(client, server, answer)
		client.Close()
		<-asked
		server.Close()
	}).Address
	return through
}

// carry carries packets, each with four bytes before it that tell its length.
func carry(to io.Writer, from io.Reader, look func(packet)) {
	for {
		var length [4]byte
		if _, err := io.ReadFull(from, length[:]); err != nil {
			return
		}
		p := make(packet, binary.BigEndian.Uint32(length[:]))
		if _, err := io.ReadFull(from, p); err != nil {
			return
		}
		if !p.pending() {
			look(p)
		}
		if _, err := to.Write(append(length[:], p...)); err != nil {
			_, _ = io.Copy(io.Discard, from)
			return
		}
	}
}

func unseen(packet) {}
