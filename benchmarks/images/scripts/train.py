"""The smallest fine-tuning: a pretrained network with a new head, a folder of pictures, one epoch."""

from __future__ import annotations

import torch
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet50
from torchvision.transforms import v2

if __name__ == "__main__":
    crop = v2.Compose([v2.RandomResizedCrop(224), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    pictures = ImageFolder("/opt/ml/input/data/training/train", crop)
    model = resnet50(weights="DEFAULT")
    model.fc = torch.nn.Linear(model.fc.in_features, len(pictures.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    for inputs, labels in DataLoader(pictures, batch_size=32, shuffle=True):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
    torch.save(model.state_dict(), "/opt/ml/model/model.pt")
