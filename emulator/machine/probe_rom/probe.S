# What an accelerator must be able to do before a stock kernel can live on it.
#
# The last 4 KiB of a 64 KiB ROM that ends at 4 GiB (QEMU -bios). Each stage writes one letter to
# isa-debugcon (port 0x402) once it works; the end is isa-debug-exit (port 0xf4), so exit code 33.
#
#   R real mode        P protected mode       L long mode with paging   X exception through the IDT
#   T timer interrupt  U ring 3 reached       S syscall into ring 0     B back in ring 3 by sysret
#
# Build: as --64 -o probe.o probe.S && objcopy -O binary -j .text probe.o probe.bin
# All addresses are differences of labels, so there is nothing to link.

        .set    BASE, 0xfffff000        # where this page is mapped
        .set    REAL, 0xf000            # the same, as offset into the segment of the reset vector
        .set    PML4, 0x1000            # in RAM, all of it below 64 KiB
        .set    PDPT, 0x2000
        .set    PD_LOW, 0x3000          # the first GiB
        .set    PD_HIGH, 0x4000         # the last GiB below 4
        .set    IDT, 0x5000
        .set    GDT, 0x6000             # a copy: ltr writes the busy bit, and ROM does not take it
        .set    TSS, 0x6100
        .set    STACK, 0x8000
        .set    USER_STACK, 0x9000
        .set    APIC, 0xfee00000

        .macro  letter which
        mov     $0x402, %dx
        mov     $\which, %al
        out     %al, %dx
        .endm

        .macro  gate vector, handler
        mov     $(\handler - start + BASE), %eax
        movw    %ax, IDT + 16 * \vector
        movl    $0x8e000018, IDT + 16 * \vector + 2
        shr     $16, %eax
        movw    %ax, IDT + 16 * \vector + 6
        .endm

        .macro  port number, value
        mov     $\value, %al
        out     %al, $\number
        .endm

        .text
        .code16
start:
        cli
        letter  'R'
        lgdtl   %cs:(rom_gdt_pointer - start + REAL)
        mov     %cr0, %eax
        and     $0x9fffffff, %eax       # caches on, as any firmware has them
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $0x08, $(protected - start + BASE)

        .code32
protected:
        mov     $0x10, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     $STACK, %esp
        letter  'P'
        cld
        xor     %eax, %eax
        mov     $PML4, %edi
        mov     $((STACK - PML4) / 4), %ecx
        rep stosl
        movl    $(PDPT + 7), PML4
        movl    $(PD_LOW + 7), PDPT
        movl    $(PD_HIGH + 7), PDPT + 3 * 8
        movl    $0x00000087, PD_LOW
        movl    $(APIC + 0x97), PD_HIGH + 503 * 8
        movl    $0xffe00087, PD_HIGH + 511 * 8
        mov     $PML4, %eax
        mov     %eax, %cr3
        mov     %cr4, %eax
        or      $0x20, %eax             # PAE
        mov     %eax, %cr4
        mov     $0xc0000080, %ecx       # EFER
        rdmsr
        or      $0x101, %eax            # LME, SCE
        wrmsr
        mov     %cr0, %eax
        or      $0x80000000, %eax
        mov     %eax, %cr0
        ljmpl   $0x18, $(long - start + BASE)

        .code64
long:
        letter  'L'
        mov     $(gdt - start + BASE), %esi
        mov     $GDT, %edi
        mov     $(gdt_end - gdt), %ecx
        rep movsb
        movl    $STACK, TSS + 4         # RSP0
        mov     $(pointers - start + BASE), %ebx
        lgdt    (%rbx)
        lidt    (idt_pointer - pointers)(%rbx)
        mov     $0x40, %eax
        ltr     %ax
        gate    6, on_invalid_opcode
        gate    0x20, on_timer
        ud2                             # on_invalid_opcode steps over it

        mov     $APIC, %ebx
        movl    $0x1ff, 0xf0(%rbx)      # local APIC on
        movl    $0x700, 0x350(%rbx)     # LINT0 takes the PIC
        port    0x20, 0x11
        port    0x21, 0x20              # IRQ 0 becomes vector 0x20
        port    0x21, 0x04
        port    0x21, 0x01
        port    0x21, 0xfe
        port    0xa1, 0xff
        port    0x43, 0x34
        port    0x40, 0xa9              # 1193 / 1193182 Hz: 1 ms
        port    0x40, 0x04
        xor     %r15d, %r15d
        sti
1:      hlt
        test    %r15d, %r15d
        jz      1b
        cli
        letter  'T'

        mov     $0xc0000081, %ecx       # STAR: selectors of sysret and of syscall
        xor     %eax, %eax
        mov     $0x002b0018, %edx
        wrmsr
        inc     %ecx                    # LSTAR
        mov     $(on_syscall - start + BASE), %eax
        xor     %edx, %edx
        wrmsr
        xor     %r12d, %r12d
        pushq   $0x33                   # user stack segment
        pushq   $USER_STACK
        pushq   $0x3002                 # I/O privilege 3: ring 3 writes letters too
        pushq   $0x3b
        mov     $(user - start + BASE), %eax
        push    %rax
        iretq

user:
        letter  'U'
        syscall
        letter  'B'
        syscall

on_syscall:
        test    %r12d, %r12d
        jnz     leave
        inc     %r12d
        letter  'S'
        sysretq

leave:
        mov     $16, %eax               # isa-debug-exit: 16 * 2 + 1 = 33
        mov     $0xf4, %dx
        out     %eax, %dx
1:      hlt
        jmp     1b

on_invalid_opcode:
        letter  'X'
        addq    $2, (%rsp)
        iretq

on_timer:
        inc     %r15d
        port    0x20, 0x20
        iretq

        .balign 8
gdt:
        .quad   0
        .quad   0x00cf9b000000ffff      # 0x08 code, 32 bits
        .quad   0x00cf93000000ffff      # 0x10 data
        .quad   0x00af9b000000ffff      # 0x18 code, 64 bits
        .quad   0x00cf93000000ffff      # 0x20 data: syscall takes the one after its code
        .quad   0                       # 0x28 what STAR's sysret half counts from
        .quad   0x00cff3000000ffff      # 0x30 user data
        .quad   0x00affb000000ffff      # 0x38 user code, 64 bits
        .quad   0x0000890061000067      # 0x40 TSS, two slots long
        .quad   0
gdt_end:
rom_gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   gdt - start + BASE
        .balign 8
pointers:
        .word   gdt_end - gdt - 1
        .quad   GDT
idt_pointer:
        .word   0x21 * 16 - 1
        .quad   IDT

        .org    0xff0, 0xf4
        .code16
        jmp     start                   # the reset vector
        .org    0x1000, 0xf4
