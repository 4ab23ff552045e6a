"""Images: densities of all pixels of small grey images, in bits per dimension."""
