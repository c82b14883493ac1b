# Packer: an image is only made when the kernel of the machine that becomes it can carry the CNI.
# The collection must be installed where Packer runs: ansible-galaxy collection install podnet.cni

packer {
  required_plugins {
    qemu = {
      source  = "github.com/hashicorp/qemu"
      version = ">= 1.1.0"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1.0"
    }
  }
}

source "qemu" "node" {
  iso_url          = "images/debian-13-genericcloud-amd64.qcow2"
  iso_checksum     = "file:images/SHA512SUMS"
  disk_image       = true
  ssh_username     = "debian"
  shutdown_command = "sudo shutdown -P now"
}

build {
  sources = ["source.qemu.node"]

  # The new kernel must run before it is asked.
  provisioner "shell" {
    inline            = ["sudo apt-get update && sudo apt-get --yes full-upgrade && sudo reboot"]
    expect_disconnect = true
  }

  # The playbook is one of yours with a single line: - ansible.builtin.import_playbook: podnet.cni.kernel_preflight
  provisioner "ansible" {
    pause_before  = "20s"
    playbook_file = "kernel-gate.yml"
    use_proxy     = false
    extra_arguments = [
      "--become",
      "-e", "kernel_preflight_profiles=cilium:1.20.2+wireguard",
      "-e", "kernel_preflight_fail_on_unknown=true",
      "-e", "kernel_preflight_junit_file=${path.root}/kernel.xml",
    ]
  }
}
